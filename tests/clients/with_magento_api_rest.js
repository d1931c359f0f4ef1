// magento-api-rest: a Magento client that signs; its default is HMAC-SHA1, `sha: 256` makes it HMAC-SHA256.
//
// Prints `step status target` a step, as client.py does; an answer that is not the expected one ends it with an error.
'use strict';

const assert = require('node:assert');
const http = require('node:http');
const MagentoRestApi = require('magento-api-rest').default;
const steps = require('./steps.json');

const { GATE, SCENARIO, SIGNATURE_METHOD, CONSUMER_KEY, CONSUMER_SECRET, TOKEN, TOKEN_SECRET } = process.env;

// A client that waits for ever must not hang the suite.
setTimeout(() => process.exit(1), 60_000).unref();

function clientWith(consumerSecret) {
  return new MagentoRestApi({
    url: GATE,
    consumerKey: CONSUMER_KEY,
    consumerSecret,
    accessToken: TOKEN,
    tokenSecret: TOKEN_SECRET,
    ...(SIGNATURE_METHOD === 'default' ? {} : { sha: 256 }),
  });
}

// The client writes values into a query string as they are and parses that again, so that a bare `+` would become a
// blank and a bare `%` would break: whoever uses it encodes them first.
function searchCriteria() {
  const encoded = (each) => ({ ...each, value: encodeURIComponent(each.value) });
  return {
    filter_groups: steps.filter_groups.map((filters) => ({ filters: filters.map(encoded) })),
    page_size: steps.page_size,
  };
}

// The answer to a call, whether the client takes it for an error or not.
async function answer(call) {
  const response = await call.catch((error) => {
    if (!error.response) throw error;
    return error.response;
  });
  const { method, path } = response.request;
  const type = response.headers['content-type'];
  const body = typeof response.data === 'string' ? JSON.parse(response.data) : response.data;
  const sent = { method, path, headers: response.request.getHeaders(), body: response.config.data };
  return { status: response.status, type, body, sent };
}

// The same request once more, byte for byte, by somebody who cannot sign.
function replay({ method, path, headers, body }) {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(GATE);
    const request = http.request({ hostname, port, method, path, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece) => { text += piece; });
      response.on('end', () => {
        const type = response.headers['content-type'];
        resolve({ status: response.statusCode, type, body: JSON.parse(text), sent: { path } });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

function expect(step, given, status, reply) {
  console.log(step, given.status, given.sent.path);
  const wanted = { status, type: 'application/json; charset=utf-8', body: reply ?? given.body };
  assert.deepStrictEqual({ status: given.status, type: given.type, body: given.body }, wanted, step);
  return given.body;
}

async function run() {
  const client = clientWith(CONSUMER_SECRET);
  const listed = await answer(client.get('products', searchCriteria()));
  if (SCENARIO === 'refused') {
    expect('list', listed, 400, steps.replies.signature_method);
    return;
  }
  assert.strictEqual(expect('list', listed, 200).items[0].sku, steps.sku);

  const one = await answer(client.get(`products/${encodeURIComponent(steps.sku)}`));
  assert.strictEqual(expect('sku', one, 200).sku, steps.sku);

  const posted = await answer(client.post('products', { product: steps.product }));
  assert.deepStrictEqual(expect('post', posted, 200), { id: 7, ...steps.product });

  const wrong = await answer(clientWith('0'.repeat(32)).get('products', searchCriteria()));
  expect('wrong_secret', wrong, 401, steps.replies.wrong_secret);

  for (const recorded of [listed, one, posted]) {
    expect('replay', await replay(recorded.sent), 401, steps.replies.replay);
  }
}

run().catch((error) => {
  console.error(error);
  process.exit(1);
});
