"""Lines of code and documentation that hold no secret, by kind; each must stay as it is."""

from __future__ import annotations

KINDS: dict[str, str] = {
    "path": r"""
token_path = "/var/lib/kubelet/pki/token-v1beta1"
SECRET_FILE = "/run/secrets/db_password_v2"
passwd = "/etc/passwd-2024"
password_file: "/etc/mysql/conf.d/pass1.cnf"
api_key = "config/keys/prod-v2.json"
token = "./data/tokens/2024/v1.bin"
key_file = "~/.ssh/id_ed25519_2023"
credentials = "C:\Users\svc\cred1.txt"
secret: "vault://kv/data/app1/db2"
auth = "file:///etc/auth/v1/users2.json"
pwd = "/home/user1/src2"
token_dir = 'build/tokens-3.11/cp311'
access_key = "s3://bucket-1/keys/2024-01-01/part-0001"
passphrase_path = "/opt/app1/etc/passphrase.v3.txt"
""",
    "class": r"""
auth = "com.example.security.OAuth2TokenService"
token = "org.apache.kafka.common.OAuthBearer2Token"
secret: "Illuminate\\Auth\\Sha256TokenGuard"
password = "django.contrib.auth.hashers.PBKDF2PasswordHasher"
api_key = "HmacSha256SigningKeyProviderV2"
token = "Microsoft.IdentityModel.JsonWebTokens2"
credential = "AwsSigV4CredentialsProviderChain"
authenticator: "io.grpc.auth.Http2ClientAuth"
secret_key = "javax.crypto.spec.SecretKeySpec256"
PASSWORD_HASHER = "argon2.PasswordHasher.v13"
x@Override.class
foo@Deprecated.since
""",
    "slug": r"""
secret_of: "alpha-beta-gamma-delta1"
secret = "configuration-secret-name"
api_key = "your-api-key-goes-here-1"
token = "error.invalid_token.message_2"
password = "user.password.reset2"
token: "step-1-of-3-token-refresh"
secret_name = "prod-db-credentials-v2"
api_key = "my-app-eu-west-1-api-key-2"
'token' => 'validation.custom.token.required_2'
auth: "oauth2-proxy-v7"
secret_array = 'encrypted-secret-array-string-2'
credentials: "service-account-eu-west-1"
token_type = "urn:ietf:params:oauth:token-type:jwt2"
secret = "kubernetes-io-service-account-token-v1"
api_key_header = "X-Api-Key-Version-2"
password_field = "input_password_2"
""",
    "placeholder": r"""
api_key = "xxxxxxxxxxxxxxxx1234"
token = "aaaaaaaaaaaaaaaaaaa1"
api_key = "YOUR_API_KEY_1234"
password = "<password1>"
password = "${DB_PASSWORD_1}"
password: "{{ db_password2 }}"
password = "%s1234%d"
token = "$TOKEN_V2"
secret = "changeme123"
password = "password123"
password = "test1234"
password = "secret1"
password = "example1"
password = "********1"
api_key = "abcdefghijklmnop1234"
token = "0123456789abcdef0123456789abcdef"
api_key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
glpat-xxxxxxxxxxxxxxxxxxxx
password = "dummy-password-1"
url = "https://user:password@example.com/x"
url = "mysql://user:pass@localhost/db"
proxy = "http://username:password@proxy:8080"
redis://:password@localhost:6379/0
amqp://guest:guest@localhost:5672
f"https://{user}:{password}@{host}/"
"postgres://%s:%s@%s/db"
git clone https://${TOKEN}@github.com/x/y
Authorization: Bearer <token>
Authorization: Bearer $TOKEN
Authorization: Basic dXNlcm5hbWU6cGFzc3dvcmQ=
curl -u user:password https://x
""",
    "code": r"""
read(join(pwd, './data/pcg64dxsm-testset-2.csv'))
publicKeyToken="1fc8b3b9a1e18e3b"
['TKTokenDriverConfiguration', 'TKTokenKeyAlgorithm']
"alias/secretsmanager": "fee5173a-3972-428e-ae73-cd4c2a371222"
git://[path-to-repo[:]][ref@]path
verify_token="eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9..."
password = user2.password1
token = tokens[i1]
def login(self, password: str = "", token2: str = "") -> None:
password: Optional[Sha256Hash] = None,
token: Uint8Array;
interface Login { password: Base64String, token: string }
api_key = get_api_key(region1)
secret := os.Getenv("APP_SECRET_V2")
password = hash2password(value1)
if password == password2:
TOKEN_TYPES = {"ident": 1, "string2": 2}
self.token = token or self.next_token2()
assert token.type == tokenize.OP2
pass1 = first_pass(graph2)
bypass = "route53resolver1"
compass = 'n0rthwest'
key = "cache:user:1234:profile2"
cache_key = "d41d8cd98f00b204e9800998ecf8427e"
primary_key = "2b6f0cc904d137be2e1730235f5664094b831186"
public_key = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"
token_hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
password_sha1 = "5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8"
colour = "a8f5f167f44f4964e6c998dee827110c"
commit = "3ff9423a8f5f167f44f4964e6c998dee827110c0"
etag: "33a64df551425fcc55e4d42a148795d9f25f89d4"
id = "550e8400-e29b-41d4-a716-446655440000"
passing = "a1b2c3d4e5"
task-sk-learn risk-based
max_live_objects
the AKIA prefix
AUTH_ALGORITHM = "HMAC-SHA256-V4-2"
author = "a1phabet"
tokenizer = "bert-base-uncased-L12-H768"
tokens = "utf8mb4_unicode_ci"
secret = sha256
password_min_length = 8
keyword = "sha256WithRSAEncryption2"
keyboard: "qwerty-104-us-intl2"
monkey_key = "x1y2z3"
The password must hold 8 characters: "a-z", "0-9"
basic usage2 of basic HTTP1 and basic Auth2
Basic authentication-scheme1
Bearer authentication-with-oauth2-tokens
token("IDENT1", "NUMBER2")
expect(token).toBe('HTTP2_SETTINGS_ACK1')
signature = "(Ljava/lang/String;I)V1"
?sort=asc&page=2&sig=none
""",
    "css": r"""
.sk-loading-spinner-container-wrapper-v2 { color: red }
<div class="sk-fading-circle sk-circle12 sk-chasing-dot-animation-1">
sk-cube-grid-animation-delay-2
.sk-folding-cube .sk-cube2:before
class="btn-xoxb-large"
.pk-test-live-region-2-columns-layout
#key-0-1-2-navigation-item-active
.hf_main_content_wrapper_with_sidebar
--token-color-primary-500: #ff00aa;
.password-strength-meter-2 { width: 10px }
""",
    "oid": r"""
oid = "1.3.6.1"
"1.3.6.1.4.1.311"
OID 1.2.840.113549
id_ed25519 = ObjectIdentifier("1.3.101.112")
X25519 = "1.3.101.110"
basicConstraints 2.5.29.19
subjectAltName = "2.5.29.17"
OID: 2.16.76.1
snmpget 1.3.6.1.2.1.1.1.0
x509.oid = "2.23.140.1"
""",
    "version": r"""
__version__ = "3.5.0.1"
version 52.14.3.9
Version=4.1.2.3
v4.1.2.3
Chrome/91.0.4.124
5.0.1
since 5.0.1.2
Paste[openid]==1.7.5.1
package-1.2.3.4.tar.gz
releaser.bump("5.0.0.1")
AssemblyVersion("4.0.0.0")
requires foo>=2.10.3.1
upgrade from 4.9.1.2 to 5.0.1.1
firmware 12.44.7.9
build 20.1.43.5
"5.0.0.1"   --> "5.0.1"
pandas 1.5.3.230321
lodash@4.17.21
@types/node@18.11.9
""",
    "section": r"""
see section 4.2.1.9 of the standard
RFC 5280, section 4.2.1.6
(see [NIST SP 800-63B] §5.1.1.2)
Per :rfc:`5891` §4.2.3.2 a label
4.3.2.1 Scope of the clause
clause 6.3.1.8
chapter 10.4.2.1
ISO C 6.5.16.1
C++ [expr.prim 8.1.5.2]
paragraph 3.1.1.2
""",
    "address": r"""
0.0.0.0 127.0.0.1 10.1.2.3 192.168.0.1 172.16.5.4
192.0.2.7 198.51.100.7 203.0.113.7
8.8.8.8 1.1.1.1
255.255.255.0
52.14.3.999
2001:db8::1 ::1 a::b std::mem::swap
224.0.0.251
00:1a:2b:3c:4d:5e
2024:01:02 03:04:05
1.2.3.4
1.2.3
""",
    "mail": r"""
user@example.com
jane.doe@example.org
bob@mail.example.net
git clone git@github.com:x/y
hg@bitbucket.org/x
icon@2x.png
logo@3x.py
y = x@self.weight
@decorator.method
@app.route("/x1")
@pytest.mark.parametrize
weights@matrix.transpose()
import "@angular/core"
"@babel/preset-env": "^7.1.2"
@org.junit.Test
@media screen and (min-width: 10px)
foo@bar.com
you@yourdomain.com
username@hostname.com
someone@somewhere.invalid
root@localhost
sk-ssh-ed25519@openssh.com
noreply@github.com
ssh user@host.domain
scp x user@server.example.com:/tmp
a@b.com
pkg@1.2.rc
module@component.attribute
A@B.T
""",
}


def lines() -> list[tuple[str, str]]:
    """(kind, line) of all."""
    return [
        (kind, line) for kind, text in KINDS.items() for line in text.split("\n") if line.strip()
    ]
