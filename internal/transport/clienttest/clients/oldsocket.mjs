// The older graphql-ws by the subscriptions-transport-ws package.
import transport from 'subscriptions-transport-ws';
import WebSocket from 'ws';
import { expect } from '../expect.mjs';

const { SubscriptionClient } = transport;
const url = process.argv[2];
const client = new SubscriptionClient(url, { connectionParams: { authorization: 'Bearer good' }, reconnect: false }, WebSocket);
const collect = (payload) => new Promise((resolve, reject) => {
  const results = [];
  client.request(payload).subscribe({ next: (r) => results.push(r), error: reject, complete: () => resolve(results) });
});

expect('query', (await collect({ query: '{ hello }' }))[0].data.hello, 'Hello');
expect('subscription', (await collect({ query: 'subscription { count(to: 3) }' })).map((r) => r.data.count), [1, 2, 3]);
expect('resumed', (await collect({
  query: 'subscription($a: String) { count(to: 3, after: $a) }', variables: { a: '1' },
})).map((r) => r.data.count), [2, 3]);
expect('many at once', (await Promise.all(Array.from({ length: 50 }, () =>
  collect({ query: 'subscription { count(to: 20) }' })))).map((r) => r.length), Array(50).fill(20));
expect('validation error', await collect({ query: '{ helo }' }).catch((error) => error.message.includes('helo')), true);

const heard = [];
const silent = client.request({ query: 'subscription { silence }' }).subscribe({ next: (r) => heard.push(r), error: () => heard.push('error') });
await new Promise((resolve) => setTimeout(resolve, 200));
silent.unsubscribe();
expect('still there after a stop', [(await collect({ query: '{ hello }' }))[0].data.hello, heard], ['Hello', []]);
client.close();

const refused = await new Promise((resolve) => {
  const stranger = new SubscriptionClient(url, {
    connectionParams: { authorization: 'Bearer bad' }, reconnect: false,
    connectionCallback: (error) => error && resolve(error.message ?? error),
  }, WebSocket);
  stranger.request({ query: '{ hello }' }).subscribe({});
});
expect('a bad token', refused, 'the token is not valid');
process.exit(0);
