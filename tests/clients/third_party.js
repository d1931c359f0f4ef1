// A small third-party application: takes the post to its callback and fetches its token with the npm package `oauth`.
//
// Prints `listening PORT` first, then `step status` a step, as third_party.py does.
'use strict';

const assert = require('node:assert');
const http = require('node:http');
const { OAuth } = require('oauth');

const { GATE } = process.env;

// A client that waits for ever must not hang the suite.
setTimeout(() => process.exit(1), 60_000).unref();

const step = (name, status) => console.log(name, status);
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// The status of an answer that the client takes for an error, else 200; and what it found in it.
const status = (work) => new Promise((resolve) => {
  work((error, token, secret) => resolve({ status: error ? error.statusCode : 200, token, secret }));
});

async function dance(posted) {
  const names = ['oauth_consumer_key', 'oauth_consumer_secret', 'store_base_url', 'oauth_verifier'];
  assert.deepStrictEqual([...posted.keys()], names);
  assert.strictEqual(posted.get('store_base_url'), 'http://shop.example/');
  const client = new OAuth(
    `${GATE}/oauth/token/request`,
    `${GATE}/oauth/token/access`,
    posted.get('oauth_consumer_key'),
    posted.get('oauth_consumer_secret'),
    '1.0',
    'oob',
    'HMAC-SHA256',
  );
  const request = await status((done) => client.getOAuthRequestToken(done));
  step('request', request.status);
  step('again', (await status((done) => client.getOAuthRequestToken(done))).status);
  const verifier = posted.get('oauth_verifier');
  const access = await status((done) => {
    client.getOAuthAccessToken(request.token, request.secret, verifier, done);
  });
  step('access', access.status);
  // The gate reads a new role within seconds.
  let called;
  for (let attempt = 0; attempt < 50; attempt += 1) {
    called = await status((done) => {
      client.get(`${GATE}/rest/V1/store/websites`, access.token, access.secret, done);
    });
    if (called.status === 200) break;
    await pause(200);
  }
  step('call', called.status);
}

const server = http.createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (piece) => { body += piece; });
  request.on('end', () => {
    response.end();
    server.close();
    dance(new URLSearchParams(body)).catch((error) => {
      console.error(error);
      process.exit(1);
    });
  });
});
server.listen(0, '127.0.0.1', () => step('listening', server.address().port));
