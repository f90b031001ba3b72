// urql: queries, errors, uploads and persisted queries.
import { Client, fetchExchange, gql } from '@urql/core';
import { persistedExchange } from '@urql/exchange-persisted';
import { counting, expect } from '../expect.mjs';

const url = process.argv[2];
const client = new Client({ url, exchanges: [fetchExchange], preferGetMethod: false });
expect('query', (await client.query(gql`query ($n: String) { hello(name: $n) }`, { n: 'you' })).data?.hello, 'Hello you');
expect('mutation', (await client.mutation(gql`mutation { set(value: "x") }`, {})).data?.set, 'x');
expect('request error', (await client.query(gql`{ secret }`, {})).error?.graphQLErrors[0]?.extensions.code, 'UNAUTHENTICATED');
expect('validation error', (await client.query(gql`{ helo }`, {})).error?.graphQLErrors[0]?.message.startsWith('Cannot query'), true);

const getting = new Client({ url, exchanges: [fetchExchange], preferGetMethod: 'force' });
expect('query by GET', (await getting.query(gql`{ open }`, {})).data?.open, "anybody's");

const fetched = counting();
const hashing = new Client({
  url, fetch: fetched, preferGetMethod: false, requestPolicy: 'network-only',
  exchanges: [persistedExchange({ preferGetForPersistedQueries: true }), fetchExchange],
});
for (let i = 0; i < 2; i++) {
  expect('persisted query', (await hashing.query(gql`query Urql { hello(name: "urql") }`, {})).data?.hello, 'Hello urql');
}
expect('whole documents sent', fetched.requests.filter((r) => r.hasQuery).length, 1);

const uploading = new Client({
  url, exchanges: [fetchExchange], preferGetMethod: false, fetchOptions: { headers: { 'GraphQL-Require-Preflight': 'true' } },
});
expect('upload', (await uploading.mutation(gql`mutation ($file: Upload!) { upload(file: $file) }`, {
  file: new File(['content'], 'a.txt', { type: 'text/plain' }),
})).data?.upload, 'a.txt content');

const events = [];
const streaming = new Client({ url, exchanges: [fetchExchange], fetchSubscriptions: true, preferGetMethod: false });
await new Promise((resolve) => {
  streaming.subscription(gql`subscription { count(to: 3) }`, {}).subscribe((result) => {
    if (result.error) throw result.error;
    events.push(result.data.count);
    if (!result.hasNext || events.length === 3) resolve();
  });
});
expect('subscription over fetch', events, [1, 2, 3]);
process.exit(0);
