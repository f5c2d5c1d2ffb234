// A certified OpenID Connect server (npm oidc-provider) on 127.0.0.1, whose signing keys and
// clock a test can move. Arguments: port, the clock's offset in seconds.
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';

const [port, offset] = process.argv.slice(2).map(Number);
const now = Date.now;
Date.now = () => now() + offset * 1000;
const { Provider } = await import('oidc-provider');

const issuer = `http://127.0.0.1:${port}`;
const ROLES = { admin: ['tabular-admins', 'others'], viewer: ['tabular-viewers'], none: ['others'] };

function signingKey(kind) {
  const pair = kind === 'EC'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    ...pair.privateKey.export({ format: 'jwk' }),
    kid: randomUUID(),
    use: 'sig',
    alg: kind === 'EC' ? 'ES256' : 'RS256',
  };
}

function start(kind, previous) {
  const key = signingKey(kind);
  const provider = new Provider(issuer, {
    jwks: { keys: [key, ...previous] },
    clients: Object.keys(ROLES).map((name) => ({
      client_id: name,
      client_secret: `${name}-secret`,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    ttl: { ClientCredentials: 300 },
    extraTokenClaims: (_, token) => ({
      realm_access: { roles: ROLES[token.clientId] },
      preferred_username: `service-${token.clientId}`,
    }),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: '',
          audience: resource,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: key.alg, kid: key.kid } },
        }),
      },
    },
  });
  return { key, answer: provider.callback() };
}

let current = start('RSA', []);
createServer((request, response) => {
  if (request.method === 'POST' && request.url.startsWith('/test/rotate')) {
    const url = new URL(request.url, issuer);
    const kept = url.searchParams.has('keep') ? [current.key] : [];
    current = start(url.searchParams.get('kind') ?? 'RSA', kept);
    response.end();
  } else {
    current.answer(request, response);
  }
}).listen(port, '127.0.0.1');
