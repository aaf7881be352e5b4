// npm's @clickhouse/client with the store at PORT: what an application does with a server.
'use strict';
const assert = require('node:assert');
const { createClient } = require('@clickhouse/client');

const url = `http://127.0.0.1:${process.argv[2]}`;

async function main() {
  const first = createClient({ url });
  assert.ok((await first.ping()).success);
  await first.command({ query: 'CREATE DATABASE app' });
  await first.command({
    query: `CREATE TABLE app.lines (n UInt64, level String, tags Array(String), trace Nullable(String))
            ENGINE = MergeTree ORDER BY n`,
  });
  let done = 0;
  for (const compression of [
    { request: false, response: false },
    { request: true, response: true },
  ]) {
    const client = createClient({ url, database: 'app', compression });
    const values = Array.from({ length: 1000 }, (_, i) => ({ n: done + i, level: 'info', tags: ['a', 'grün'], trace: null }));
    const inserted = await client.insert({ table: 'lines', values, format: 'JSONEachRow' });
    assert.ok(inserted.executed);
    assert.strictEqual(inserted.summary.written_rows, '1000');
    done += 1000;
    const rows = await client.query({
      query: 'SELECT n, tags FROM lines WHERE n >= {n: UInt64} ORDER BY n',
      query_params: { n: done - 1 },
      format: 'JSONEachRow',
    });
    assert.deepStrictEqual((await rows.json()).map(({ n, tags }) => [Number(n), tags]), [[done - 1, ['a', 'grün']]]);
    const json = await (await client.query({ query: 'SELECT count() AS c FROM lines', format: 'JSON' })).json();
    assert.strictEqual(Number(json.data[0].c), done);
    let total = 0;
    const stream = (await client.query({ query: 'SELECT number FROM numbers(300000)', format: 'JSONCompactEachRow' })).stream();
    for await (const batch of stream) for (const row of batch) total += Number(row.json()[0]);
    assert.strictEqual(total, 44999850000);
    await client.close();
  }
  await assert.rejects(first.query({ query: 'SELECT * FROM app.nosuch' }), { code: '60', type: 'UNKNOWN_TABLE' });
  const session = createClient({ url, session_id: 'mine' });
  await session.command({ query: 'CREATE TEMPORARY TABLE mine (a UInt8)' });
  await session.insert({ table: 'mine', values: [{ a: 7 }], format: 'JSONEachRow' });
  assert.deepStrictEqual(await (await session.query({ query: 'SELECT a FROM mine', format: 'JSONEachRow' })).json(), [{ a: 7 }]);
  await session.close();
  await first.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
