// graphql-transport-ws by the graphql-ws package.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { expect } from '../expect.mjs';

const url = process.argv[2];
const pongs = [];
const client = createClient({
  url, webSocketImpl: WebSocket, keepAlive: 20, lazy: false, retryAttempts: 0, onNonLazyError: () => {},
  connectionParams: { authorization: 'Bearer good' },
  on: { pong: (received, payload) => received && pongs.push(payload ?? null) },
});
const collect = (of, payload) => new Promise((resolve, reject) => {
  const results = [];
  of.subscribe(payload, { next: (r) => results.push(r), error: reject, complete: () => resolve(results) });
});

expect('query', (await collect(client, { query: '{ hello }' }))[0].data.hello, 'Hello');
expect('mutation', (await collect(client, { query: 'mutation { set(value: "x") }' }))[0].data.set, 'x');
expect('subscription', (await collect(client, { query: 'subscription { count(to: 3) }' })).map((r) => r.data.count), [1, 2, 3]);
expect('resumed', (await collect(client, {
  query: 'subscription($a: String) { count(to: 3, after: $a) }', variables: { a: '1' },
})).map((r) => r.data.count), [2, 3]);
expect('many at once', (await Promise.all(Array.from({ length: 50 }, () =>
  collect(client, { query: 'subscription { count(to: 20) }' })))).map((r) => r.length), Array(50).fill(20));
expect('validation error', await collect(client, { query: '{ helo }' }).catch((errors) => errors.length), 1);

const heard = [];
const stop = client.subscribe({ query: 'subscription { silence }' }, { next: (r) => heard.push(r), error: () => heard.push('error'), complete: () => heard.push('complete') });
await new Promise((resolve) => setTimeout(resolve, 200));
stop();
await new Promise((resolve) => setTimeout(resolve, 50));
expect('stopped by the client', heard, ['complete']);
expect('pongs came', pongs.length > 2, true);
await client.dispose();

const refused = await new Promise((resolve) => {
  const stranger = createClient({
    url, webSocketImpl: WebSocket, retryAttempts: 0, connectionParams: { authorization: 'Bearer bad' },
    on: { closed: (event) => resolve([event.code, event.reason]) },
  });
  stranger.subscribe({ query: '{ hello }' }, { next: () => {}, error: () => {}, complete: () => {} });
});
expect('a bad token', refused, [4403, 'Forbidden']);
process.exit(0);
