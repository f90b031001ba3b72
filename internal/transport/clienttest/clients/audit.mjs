// The audit of graphql-http, and what it leaves out is in http_test.go.
import { auditServer } from 'graphql-http';

const results = await auditServer({ url: process.argv[2], fetchFn: fetch });
const failed = results.filter((r) => r.status !== 'ok');
for (const { status, id, name, reason } of failed) {
  console.error(`${status} ${id} ${name}: ${reason}`);
}
console.log(`${results.length - failed.length} of ${results.length}`);
process.exit(failed.length === 0 && results.length >= 61 ? 0 : 1);
