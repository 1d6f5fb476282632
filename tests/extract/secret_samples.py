"""Keys and passwords that look real, drawn from fixed seeds in their issuers' formats.

None is one: every random part is drawn here, at run time, so that no scanner takes the
repository for a leak. `formed()` are keys with a form of their own, by issuer; `named()` are
secrets that only a name gives away.
"""

from __future__ import annotations

import base64
import random
import re
import string
from collections.abc import Iterator

LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
CLASSES = {
    "w": LOWER + UPPER + DIGITS,
    "h": "0123456789abcdef",
    "U": UPPER + DIGITS,
    "l": LOWER + DIGITS,
    "a": LOWER + UPPER,
    "d": DIGITS,
    "s": LOWER + UPPER + DIGITS + "_-",
    "b": LOWER + UPPER + DIGITS + "+/",
    "u": LOWER + UPPER + DIGITS + "_",
}
# issuer, then formats: {w20}, a class and a length, is a random part, all else stands as it is.
FORMED = """
1password ops_eyJ{w240}=
adafruit aio_{w28}
age AGE-SECRET-KEY-1{U58}
airtable pat{w14}.{h64}
alibaba LTAI{w20}
anthropic sk-ant-api03-{s93}AA sk-ant-admin01-{s93}AA sk-ant-oat01-{s93}AA
apify apify_api_{w36}
artifactory AKCp{w69}
asana 1/{d16}:{h32}
atlassian ATATT3xFf{s180} ATBB{w32}
aws AKIA{U16} ASIA{U16} ABSK{w120} FwoGZXIvYXdzE{b300} IQoJb3JpZ2luX2VjE{b300}
azure {w3}8Q~{s34}
brevo xkeysib-{h64}-{w16}
buildkite bkua_{h40}
circleci CCIPAT_{w22}_{h40}
cloudflare v1.0-{h24}-{h146}
contentful CFPAT-{s43}
databricks dapi{h32} dapi{h32}-2
deno ddp_{w36}
digitalocean dop_v1_{h64} doo_v1_{h64} dor_v1_{h64}
discord https://discord.com/api/webhooks/{d18}/{s68} M{w23}.{w6}.{s27}
docker dckr_pat_{w27} dckr_oat_{w32}
doppler dp.pt.{w43} dp.st.dev.{w43}
dynatrace dt0c01.{U24}.{U64}
easypost EZAK{w54}
facebook EAAC{w150}
figma figd_{s43}
flutterwave FLWSECK_TEST-{h32}-X
fly.io fo1_{s43} fm2_{w160}
github ghp_{w36} gho_{w36} ghu_{w36} ghs_{w36} ghr_{w36} github_pat_{w22}_{w59}
gitlab glpat-{s20} glrt-{s20} gldt-{s20} glptt-{h40} glcbt-{w3}_{s20}
gitlab gloas-{s64} glsoat-{s20} glagent-{s50} glft-{s20} glimt-{s25} GR1348941{s20}
google AIza{s35} ya29.{s120} 1//0{s80} GOCSPX-{s28}
grafana glsa_{w32}_{h8} glc_{w80} eyJrIjoi{w80}
groq gsk_{w52}
heroku HRKU-AA{s58}
hubspot pat-na1-{uuid}
huggingface hf_{a34} api_org_{a34}
infracost ico-{w32}
jwt eyJ{s33}.eyJ{s60}.{s43} eyJhbGciOiJIUzI1NiJ9.eyJ{s40}.{s43}
langsmith lsv2_pt_{h32}_{h10}
linear lin_api_{w40}
lob live_{h35}
mailchimp {h32}-us12
mailgun key-{h32}
mapbox sk.eyJ{w80}.{s22}
maxmind {w6}_{w29}_mmk
neon napi_{w64}
netlify nfp_{w40}
newrelic NRAK-{U27} NRJS-{h19}
notion ntn_{d11}{w35} secret_{w43}
npm npm_{w36}
nuget oy2{l43}
nvidia nvapi-{s64}
octopus API-{U26}
okta 00{s40}
openai sk-{w20}T3BlbkFJ{w20} sk-proj-{s74}T3BlbkFJ{s74} sk-svcacct-{s58}T3BlbkFJ{s58} sk-{w48}
openrouter sk-or-v1-{h64}
openshift sha256~{s43}
perplexity pplx-{w48}
plaid access-sandbox-{uuid}
planetscale pscale_tkn_{s43} pscale_pw_{s43}
posthog phx_{w43}
postman PMAK-{h24}-{h34}
prefect pnu_{w36}
pulumi pul-{h40}
pypi pypi-AgEIcHlwaS5vcmc{s150}
razorpay rzp_live_{w14}
readme rdme_{l70}
render rnd_{w32}
replicate r8_{w37}
resend re_{w8}_{w24}
rubygems rubygems_{h48}
scaleway SCW{U17}
sendgrid SG.{s22}.{s43}
sentry sntryu_{h64} sntrys_{w120}_{w43}
shippo shippo_live_{h40}
shopify shpat_{h32} shpca_{h32} shppa_{h32} shpss_{h32}
slack xoxb-{d12}-{d12}-{w24} xoxp-{d12}-{d12}-{d12}-{h32} xoxa-2-{w40}
slack xapp-1-A{U10}-{d13}-{h64} https://hooks.slack.com/services/T{U9}/B{U10}/{w24} xoxe-1-{w146}
sonar squ_{h40}
sourcegraph sgp_{h40} sgp_{h16}_{h40}
square sq0atp-{s22} sq0csp-{s43} EAAA{s60}
stripe sk_live_{w24} rk_live_{w24} sk_test_{w24} whsec_{w32} sk_live_51{w97}
supabase sbp_{h40}
tailscale tskey-auth-{w16}-{w32} tskey-api-{w16}-{w32} tskey-client-{w16}-{w32}
tavily tvly-{w32}
telegram {d10}:AA{s33} {d9}:AA{s33}
terraform {w14}.atlasv1.{s67}
twilio SK{h32} AC{h32}
twitter AAAAAAAAAAAAAAAAAAAAA{w90}
typeform tfp_{s59}
vault hvs.{s95} hvb.{s150} s.{w24}
wallet xprv{w107}
yandex AQVN{s36}
zapier https://hooks.zapier.com/hooks/catch/{d7}/{l7}
"""
_PART = re.compile(r"\{([a-zA-Z])(\d+)\}|\{uuid\}")


def drawn(form: str, source: random.Random) -> str:
    """`form` with every random part drawn; a long part holds a digit and a letter."""

    def part(match: re.Match[str]) -> str:
        if match[1] is None:
            return "-".join(_text("h", size, source) for size in (8, 4, 4, 4, 12))
        return _text(match[1], int(match[2]), source)

    return _PART.sub(part, form)


def _text(name: str, size: int, source: random.Random) -> str:
    text = "".join(source.choices(CLASSES[name], k=size))
    if size > 6 and "1" in CLASSES[name] and not any(map(str.isdigit, text)):
        text = f"{text[0]}{source.choice(DIGITS)}{text[2:]}"
    # No first or last separator: what ends in one cannot be told from what follows.
    return re.sub("^[_+/-]|[_+/-]$", "7", text)


def formed(seeds: int = 2) -> Iterator[tuple[str, str]]:
    """(issuer, key) of every format, `seeds` times."""
    source = random.Random(20260711)
    for line in FORMED.split("\n"):
        issuer, *forms = line.split() or [""]
        for form in forms:
            for _ in range(seeds):
                yield issuer, drawn(form, source)


# How a key stands in code, documents and settings; {} is its place.
CONTEXTS = (
    'client = Client("{}")',
    "const k = '{}';",
    "use `{}` here",
    "x: {}",
    "-H 'X-Custom: {}'",
    '{{"value": "{}", "n": 1}}',
    "see {} and",
    "f({}, 1)",
    "[{}]",
    "A={}\nB=2",
    r'"a\n{}\n"',
    "// {}",
)


def private_keys() -> Iterator[tuple[str, str]]:
    """(kind, block): header, 64 characters a line, footer; also as one line with \\n."""
    source = random.Random(3)
    for kind in ("RSA ", "EC ", "OPENSSH ", "", "ENCRYPTED ", "DSA "):
        head, tail = (f"-----{word} {kind}PRIVATE KEY-----" for word in ("BEGIN", "END"))
        lines = [_text("b", 64, source) for _ in range(4)]
        yield f"{kind}block", "\n".join((head, *lines, tail))
        yield f"{kind}line", "\\n".join((head, *lines, tail))
    head, tail = (f"-----{word} PGP PRIVATE KEY BLOCK-----" for word in ("BEGIN", "END"))
    yield "pgp", "\n".join((head, "", _text("b", 64, source), tail))


# (kind, line with {} for the secret, the form of the secret).
NAMED = (
    ("quoted", 'api_key = "{}"', "w32"),
    ("quoted", "API_KEY='{}'", "h32"),
    ("quoted", '"authToken" => "{}"', "w24"),
    ("quoted", "accessToken: `{}`,", "w40"),
    ("quoted", 'String clientSecret = "{}";', "w28"),
    ("quoted", 'const SECRET: &str = "{}";', "b44"),
    ("quoted", 'var token string = "{}"', "s32"),
    ("quoted", 'const token: string = "{}";', "l36"),
    ("quoted", 'secret := "{}"', "h40"),
    ("quoted", 'private_key: "{}"', "h64"),
    ("quoted", 'let key = "x"; let api_secret = "{}".to_string();', "w32"),
    ("quoted", '@api_token ||= "{}"', "w20"),
    ("quoted", "'consumer_key' => '{}',", "w25"),
    ("quoted", 'if token == "{}":', "w32"),
    ("quoted", 'os.environ["AUTH_TOKEN"] = "{}"', "w32"),
    ("quoted", '{{"client_secret":"{}"}}', "s40"),
    ("quoted", r'"{{\"access_token\": \"{}\"}}"', "w32"),
    ("quoted", 'heroku_api_key = "{}"', "uuid"),
    ("quoted", 'credentials: "{}"', "w32"),
    ("call", 'connect(host="db", api_key="{}")', "w32"),
    ("call", 'setAccessToken("{}")', "w32"),
    ("call", '.header("X-Api-Key", "{}")', "h32"),
    ("call", "define('AUTH_KEY', '{}');", "w48"),
    ("call", 'os.getenv("API_TOKEN", "{}")', "w32"),
    ("call", 'client.set_secret_key(String::from("{}"))', "b40"),
    ("header", "X-Api-Key: {}", "h40"),
    ("header", "Private-Token: {}", "s24"),
    ("header", "X-Auth-Token: {}", "w32"),
    ("header", "Authorization: Bearer {}", "w40"),
    ("header", "headers['Authorization'] = 'Bearer {}'", "s43"),
    ("header", '-H "Authorization: Token {}"', "h40"),
    ("header", '"Authorization": "token {}"', "h40"),
    ("header", "authorization: {}", "w40"),
    ("environment", "export AWS_SECRET_ACCESS_KEY={}", "b40"),
    ("environment", "AWS_SESSION_TOKEN={}", "b200"),
    ("environment", "GITHUB_TOKEN={}\n", "h40"),
    ("environment", "ENV API_KEY={}", "w32"),
    ("file", "//registry.npmjs.org/:_authToken={}", "uuid"),
    ("file", "aws_secret_access_key = {}", "b40"),
    ("file", "api_key: {}", "h32"),
    ("file", "  token: {}\n", "w32"),
    ("file", "<token>{}</token>", "w32"),
    ("file", '<add key="ApiKey" value="{}"/>', "w32"),
    ("file", "machine api.corp.io login bot password {}", "w20"),
    ("connection", "DefaultEndpointsProtocol=https;AccountKey={}==;E=x", "w86"),
    ("connection", "Endpoint=sb://x/;SharedAccessKey={}=", "w43"),
    ("connection", "?sv=2022-11-02&sig={}%3D", "w43"),
    ("connection", "https://api.corp.io/v1?access_token={}&x=1", "w32"),
    ("connection", "https://api.corp.io/v1?api_key={}", "h32"),
    ("url", "postgres://app:{}@db.corp.io:5432/x", "w12"),
    ("url", "https://{}@sentry.corp.io/42", "h32"),
    ("url", "git clone https://bot:{}@git.corp.io/x.git", "h20"),
    ("url", "redis://:{}@cache.corp.io:6379", "w16"),
    ("command", "login --token {}", "w32"),
    ("prose", "The API key is {}.", "w32"),
    ("prose", "the access key `{}` opens it", "w20"),
    ("prose", "token is: {}", "h40"),
    ("command", "curl -u admin:{} https://x.corp.io", "w14"),
    ("command", "--api-key={}", "w32"),
)
PASSWORDS = (
    ("password", 'password = "{}"'),
    ("password", "DB_PASSWORD = '{}'"),
    ("password", "passwd: '{}'"),
    ("password", 'pwd="{}"'),
    ("password", '"password": "{}",'),
    ("password", "'password' => '{}',"),
    ("password", 'connect(user="sa", password="{}")'),
    ("password", 'setPassword("{}")'),
    ("password", 'passphrase := "{}"'),
    ("password", 'auth=("admin", "{}")'),
    ("password", "CREATE USER x IDENTIFIED BY '{}'"),
    ("environment", "MYSQL_ROOT_PASSWORD={}"),
    ("connection", '"Server=db;User Id=sa;Password={};"'),
    ("command", "curl -u admin:{} https://x.corp.io"),
    ("url", "mysql://root:{}@db.corp.io/x"),
)
# Where nothing but its mix of cases and digits tells a value from a name.
MIXED_PLACES = (
    ("environment", "spring.datasource.password={}"),
    ("file", "password = {}"),
    ("file", "<password>{}</password>"),
    ("connection", "jdbc:mysql://db/x?user=sa&password={}"),
    ("connection", 'psql "host=db user=sa password={} dbname=x"'),
    ("command", "mysql --password={} -u root"),
    ("code", '#define PASSWORD "{}"'),
    ("code", 'Password := []byte("{}")'),
    ("code", 'user_pw = "{}"'),
)
MIXED = ("aB3eF6gh", "Xy7kLm2Qz", "9qTr4WxZ1")
CHOSEN = ("hunter2", "Winter2024", "tr0ub4dor", "S0mmer99", "b4nanas", "K8sRocks7", "l3tm3in")
CHOSEN_STRONG = ("Tr0ub4dor&3", "P!nk3lephant", "x9#Lq!v2Zr", "Gr33n^Tree", "m0untain!Top")


def named() -> Iterator[tuple[str, str, str]]:
    """(kind, text, secret) of what only its name gives away."""
    source = random.Random(20260712)
    for kind, line, form in NAMED:
        for _ in range(3):
            secret = drawn(f"{{{form}}}", source)
            yield kind, line.format(secret), secret
    for kind, line in PASSWORDS:
        for password in (*CHOSEN, *CHOSEN_STRONG):
            if kind == "connection" and "&" in password:
                continue  # Where a query goes on; docs/redaction.md names it as missed.
            yield kind, line.format(password), password
    for kind, line in MIXED_PLACES:
        for password in MIXED:
            yield kind, line.format(password), password
    for user, password in (("bot", "x9Lqv2Zr"), ("admin", "Winter2024")):
        secret = base64.b64encode(f"{user}:{password}".encode()).decode()
        yield "header", f"Authorization: Basic {secret}", secret
        yield "header", f'headers = {{"Authorization": "Basic {secret}"}}', secret
