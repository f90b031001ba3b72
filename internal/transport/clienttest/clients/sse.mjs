// GraphQL over SSE by the graphql-sse package, and by an EventSource as browsers have.
import { EventSource } from 'eventsource';
import { createClient } from 'graphql-sse';
import { expect } from '../expect.mjs';

const url = process.argv[2];

const client = createClient({ url, singleConnection: false, retryAttempts: 0 });
const collect = (payload) => new Promise((resolve, reject) => {
  const results = [];
  client.subscribe(payload, { next: (r) => results.push(r), error: reject, complete: () => resolve(results) });
});
expect('subscription', (await collect({ query: 'subscription { count(to: 3) }' })).map((r) => r.data.count), [1, 2, 3]);
expect('query', (await collect({ query: '{ hello }' }))[0].data.hello, 'Hello');
const invalid = await collect({ query: '{ helo }' });
expect('validation error', [invalid.length, invalid[0].errors.length, 'data' in invalid[0]], [1, 1, false]);
const refused = await collect({ query: '{ secret }' });
expect('request error', refused[0].errors[0].extensions.code, 'UNAUTHENTICATED');
client.dispose();

// What an EventSource hears until complete; it is cut off by the server after `cut`.
const listen = (query, init) => new Promise((resolve, reject) => {
  const source = new EventSource(`${url}?query=${encodeURIComponent(query)}`, init);
  const events = [];
  source.addEventListener('next', (e) => events.push([e.lastEventId, JSON.parse(e.data).data.count]));
  source.addEventListener('complete', (e) => { source.close(); resolve([events, e.data]); });
  source.addEventListener('error', (e) => { source.close(); reject(new Error(e.message)); });
});
expect('EventSource', await listen('subscription { count(to: 3) }'), [[['1', 1], ['2', 2], ['3', 3]], '']);
expect('EventSource that comes back', await listen('subscription { count(to: 3) }', {
  fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, 'Last-Event-ID': '1' } }),
}), [[['2', 2], ['3', 3]], '']);
process.exit(0);
