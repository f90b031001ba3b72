// How operations reach the server: queries and mutations by POST, subscriptions over
// graphql-transport-ws, both with the same token.
import { Kind, parse } from 'graphql';
import { createClient } from 'graphql-ws';
import { Feed } from './feed.js';

// makeFetcher makes the function that GraphiQL calls with each operation. A header
// typed in the headers editor goes before the token. onMutation hears of the data of
// every mutation that was answered. close ends every subscription that still runs.
export function makeFetcher({ endpoint, token, onMutation }) {
  const running = new Set();

  const fetcher = (typed, { headers = {} } = {}) => {
    const { operation, kind } = understood(typed);
    const sent = { ...(token && { authorization: `Bearer ${token}` }), ...lowerCased(headers) };
    if (kind === 'subscription') return subscription(endpoint, operation, sent.authorization, running);
    return post(endpoint, operation, sent).then((result) => {
      if (kind === 'mutation' && result.data) onMutation(result.data);
      return result;
    });
  };

  const close = () => {
    for (const stop of running) stop();
  };
  return { fetcher, close };
}

// understood is the operation with its kind. GraphiQL learns an operation's name a moment
// after a tab was changed; until then it sends the other tab's, and with a document of one
// operation no name is needed.
function understood(typed) {
  let definitions = [];
  try {
    definitions = parse(typed.query).definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  } catch {
    return { operation: typed }; // the server says what is wrong with it
  }
  const named = definitions.find(({ name }) => name && name.value === typed.operationName);
  const meant = named ?? (definitions.length === 1 ? definitions[0] : undefined);
  return { operation: { ...typed, operationName: meant ? meant.name?.value : typed.operationName }, kind: meant?.operation };
}

// post sends an operation and returns the answer, or what came in its place.
export async function post(endpoint, operation, headers) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      ...headers,
      'content-type': 'application/json',
      accept: 'application/graphql-response+json, application/json',
    },
    body: JSON.stringify(operation),
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return { status: `${response.status} ${response.statusText}`.trim(), body: text };
  }
}

// subscription is an Observable of the whole feed as it is to be shown. It does not
// connect again by itself: whoever wants what came in between asks with after.
function subscription(endpoint, operation, authorization, running) {
  return {
    subscribe(observer) {
      const feed = new Feed((shown) => observer.next(shown));
      const client = createClient({
        url: socketURL(endpoint),
        connectionParams: authorization ? { authorization } : {},
        retryAttempts: 0,
      });
      let over = false;
      const finish = (why) => {
        if (over) return;
        over = true;
        running.delete(abandon);
        feed.end(why);
        observer.complete();
      };
      const unsubscribe = client.subscribe(operation, {
        next: (result) => feed.add(result),
        error: (error) => finish(inWords(error)),
        complete: () => finish('The server has nothing more to say.'),
      });
      const abandon = () => {
        finish('The token changed. Run it again.');
        unsubscribe();
      };
      running.add(abandon);
      return {
        unsubscribe() {
          over = true;
          running.delete(abandon);
          feed.stop();
          unsubscribe();
        },
      };
    },
  };
}

function socketURL(endpoint) {
  const url = new URL(endpoint, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

// inWords is what a socket's end means: errors of the operation as they came, a
// closed socket with its code.
function inWords(error) {
  if (Array.isArray(error)) return { errors: error };
  if (typeof error?.code === 'number') return `Socket closed: ${error.code} ${error.reason}`.trim();
  return error?.message ?? 'The socket could not be opened.';
}

function lowerCased(headers) {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]));
}
