// Apollo Client 3: queries, errors, uploads and persisted queries.
import apollo from '@apollo/client/core/core.cjs';
import persisted from '@apollo/client/link/persisted-queries/persisted-queries.cjs';
import createUploadLink from 'apollo-upload-client/createUploadLink.mjs';
import { counting, expect, sha256 } from '../expect.mjs';

const { ApolloClient, HttpLink, InMemoryCache, gql } = apollo;
const { createPersistedQueryLink } = persisted;
const uri = process.argv[2];
const client = (link) => new ApolloClient({ link, cache: new InMemoryCache(), defaultOptions: { query: { fetchPolicy: 'no-cache' } } });

const plain = client(new HttpLink({ uri, fetch }));
expect('query', (await plain.query({ query: gql`query ($n: String) { hello(name: $n) }`, variables: { n: 'you' } })).data.hello, 'Hello you');
expect('mutation', (await plain.mutate({ mutation: gql`mutation { set(value: "x") }` })).data.set, 'x');
const refused = await plain.query({ query: gql`{ secret }`, errorPolicy: 'all' });
expect('request error', refused.errors?.[0]?.extensions?.code ?? refused.error?.message, 'UNAUTHENTICATED');
const invalid = await plain.query({ query: gql`{ helo }`, errorPolicy: 'all' });
expect('validation error', invalid.errors?.[0]?.message.startsWith('Cannot query field "helo"'), true);

for (const useGETForHashedQueries of [false, true]) {
  const fetched = counting();
  const hashed = client(createPersistedQueryLink({ sha256, useGETForHashedQueries }).concat(new HttpLink({ uri, fetch: fetched })));
  const query = gql(`query Persisted { hello(name: "${useGETForHashedQueries}") }`);
  for (let i = 0; i < 2; i++) {
    expect('persisted query', (await hashed.query({ query })).data.hello, `Hello ${useGETForHashedQueries}`);
  }
  expect('whole documents sent', fetched.requests.filter((r) => r.hasQuery).length, 1);
  expect('requests', fetched.requests.length, 3);
}

const uploading = client(createUploadLink({ uri, headers: { 'Apollo-Require-Preflight': 'true' } }));
expect('upload', (await uploading.mutate({
  mutation: gql`mutation ($file: Upload!) { upload(file: $file) }`,
  variables: { file: new File(['content'], 'a.txt', { type: 'text/plain' }) },
})).data.upload, 'a.txt content');
