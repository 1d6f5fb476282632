"""The keys that their issuer gave a form of its own: prefix, alphabet, length.

Method: a table. `head` is what a key begins with, `tail` what must follow; both are regular
expressions without groups, bounded, and the tail is possessive where something follows it.
A head is looked for only where 16 letters, digits, `_` and `-` stand in a row, or just before,
so that a text without such a run costs one search. `random` asks that the tail also reads as
random, for heads that words and style sheets use too (`sk-`).
Sources: the issuers' documentation of their key formats, compared with the rules of gitleaks
(MIT) for what is missing; no text of theirs stands here. See docs/redaction.md.
Limits: a key without a form is known by its name alone (`extract.redaction.keys`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyFormat:
    """One form of key."""

    issuer: str
    head: str
    tail: str
    random: bool = False


_HEX32, _HEX40, _HEX64 = "[0-9a-f]{32}", "[0-9a-f]{40}", "[0-9a-f]{64}"
_UUID = "[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_B64 = "[A-Za-z0-9+/]"
_SLUG = r"[\w-]"
_WORD = "[A-Za-z0-9]"
_SESSION = r"[\w+/%-]{60,2000}+={0,2}"
# In the midst of letters only 400 are read: there may be a token at each third of them.
_WEB_TOKEN = r"(?:(?<![\w-]ey[JK])[\w-]{8,4000}+|[\w-]{8,400}+)\.ey[\w-]{8,4000}+\.[\w-]{8,4000}+"
_GITLAB = r"[\w-]{20,300}+(?:\.[0-9a-z]{2}\.?[0-9a-z]{7})?"

FORMATS: tuple[KeyFormat, ...] = tuple(
    KeyFormat(*entry)
    for entry in (
        ("1password", "ops_eyJ", _B64 + "{100,2000}+={0,3}"),
        ("1password", "A3-[A-Z0-9]{6}-", "[A-Z0-9-]{26,40}+"),
        ("adafruit", "aio_", _WORD + "{28}"),
        ("age", "AGE-SECRET-KEY-1", "[0-9A-Z]{58}"),
        ("airtable", r"pat[A-Za-z0-9]{14}\.", _HEX64),
        ("alibaba", "LTAI", _WORD + "{12,20}+"),
        ("anthropic", "sk-ant-", _SLUG + "{24,200}+"),
        ("apify", "apify_api_", _WORD + "{30,40}+"),
        ("artifactory", "AKCp", _WORD + "{50,80}+"),
        ("artifactory", "cmVmd", _WORD + "{59}"),
        ("asana", "[012]/[0-9]{16}:", _HEX32),
        ("atlassian", "AT[AC]TT3", r"[\w=-]{60,250}+"),
        ("atlassian", "ATBB", _WORD + "{24,40}+"),
        ("aws", "A(?:[KSB]I|CC)A", "[0-9A-Z]{16}(?![0-9A-Za-z])"),
        ("aws", "ABSK", _B64 + "{100,280}+={0,2}"),
        ("aws", "bedrock-api-key-", _B64 + "{60,2000}+={0,2}"),
        ("aws", "F(?:wo|Qo)GZXIvYXdz", _SESSION),
        ("aws", "IQoJb3JpZ2luX2Vj", _SESSION),
        ("azure", r"[\w.~-]{3}[0-9]Q~", r"[\w.~-]{31,34}"),
        ("azure", "[A-Za-z0-9]{76}AZDO", _WORD + "{4}"),
        ("brevo", "x(?:key|smtp)sib-", _HEX64 + "-" + _WORD + "{16}"),
        ("buildkite", "bk(?:ua|ct|aj|ap)_", _HEX40),
        ("circleci", "CCIP(?:AT|RJ)_", _WORD + "{16,30}+_" + _HEX40),
        ("clojars", "CLOJARS_", "[0-9a-f]{60}"),
        ("cloudflare", r"v1\.0-", "[0-9a-f]{24}-[0-9a-f]{146}"),
        ("contentful", "CFPAT-", _SLUG + "{43}"),
        ("crates.io", "cio", _WORD + "{32}(?![A-Za-z0-9])", True),
        ("databricks", "dapi", _HEX32 + "(?:-[0-9])?"),
        ("deno", "dd[pw]_", _WORD + "{36}"),
        ("digitalocean", "do[opr]_v1_", _HEX64),
        ("discord", r"[MNO][A-Za-z0-9]{23,27}\.", _SLUG + r"{6}\." + _SLUG + "{27,40}+", True),
        ("discord", "webhooks/[0-9]{17,20}/", _SLUG + "{60,80}+"),
        ("docker", "dckr_(?:pat|oat)_", _SLUG + "{27,32}+"),
        (
            "doppler",
            r"dp\.(?:pt|st|ct|sa|scim|audit)\.",
            r"(?:[a-z0-9_-]{1,35}\.)?[A-Za-z0-9]{40,44}+",
        ),
        ("dropbox", r"sl\.(?:u\.)?", _SLUG + "{130,2000}+"),
        ("duffel", "duffel_(?:test|live)_", _SLUG + "{43}"),
        ("dynatrace", r"dt0[a-z][0-9]{2}\.", _WORD + r"{24}\." + _WORD + "{64}"),
        ("easypost", "EZ[AT]K", _WORD + "{54}"),
        ("facebook", "EAA[A-Z]", _WORD + "{80,300}+"),
        ("figma", "fig[dou]_", _SLUG + "{40,60}+"),
        ("flutterwave", "FLWSECK(?:_TEST)?-", "[0-9a-h]{12,32}+(?:-X)?"),
        ("fly.io", "f(?:o1|m[12][ar]?)_", r"[\w+/-]{40,2000}+={0,3}"),
        ("frame.io", "fio-u-", r"[\w=-]{64}"),
        ("github", "gh[pousr]_", _WORD + "{36,251}+"),
        ("github", "github_pat_", r"\w{22,255}+"),
        ("gitlab", "gl(?:pat|rtr?|dt|ptt|cbt|soat|agent|oas|ft|imt|ffct|wt)-", _GITLAB),
        ("gitlab", "GR1348941", _SLUG + "{20}"),
        ("google", "AIza", _SLUG + r"{35}(?![\w-])"),
        ("google", r"ya29\.", _SLUG + "{20,2000}+"),
        ("google", "1//0", _SLUG + "{40,200}+"),
        ("google", "GOCSPX-", _SLUG + "{28}"),
        ("grafana", "glsa_", _WORD + "{32}_[0-9A-Fa-f]{8}"),
        ("grafana", "glc_", _B64 + "{32,400}+={0,3}"),
        ("grafana", "eyJrIjoi", _B64 + "{60,400}+={0,3}"),
        ("groq", "gsk_", _WORD + "{48,56}+"),
        ("harness", r"[ps]at\.", _SLUG + r"{22}\.[0-9a-f]{24}\." + _WORD + "{20}"),
        ("heroku", "HRKU-", _SLUG + "{36,64}+"),
        ("honeycomb", "hc[abx][il]k_", _WORD + "{50,64}+"),
        ("hubspot", "pat-(?:na|eu|ap)[0-9]-", _UUID),
        ("hugging face", "hf_", _WORD + "{34}(?![A-Za-z0-9])", True),
        ("hugging face", "api_org_", "[A-Za-z]{34}(?![A-Za-z0-9])", True),
        ("infracost", "ico-", _WORD + "{32}"),
        (
            "json web token",
            "ey[JK]",
            _WEB_TOKEN,
        ),
        ("langfuse", "[ps]k-lf-", _UUID),
        ("langsmith", "lsv2_(?:pt|sk)_", _HEX32 + "_[0-9a-f]{10}"),
        ("launchdarkly", "sdk-", _UUID),
        ("launchdarkly", "api-", _UUID),
        ("launchdarkly", "mob-", _UUID),
        ("linear", "lin_(?:api|oauth)_", _WORD + "{40,64}+"),
        ("lob", "live_", "[0-9a-f]{35}(?![0-9A-Za-z])"),
        ("lob", "test_", "[0-9a-f]{35}(?![0-9A-Za-z])"),
        ("mailchimp", "[0-9a-f]{32}-us", "[0-9]{1,2}(?![0-9A-Za-z])"),
        ("mailgun", "key-", _HEX32),
        ("mailgun", "pubkey-", _HEX32),
        ("mapbox", r"[sp]k\.eyJ", _SLUG + r"{40,200}\." + _SLUG + "{22}"),
        ("maxmind", "[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_", "mmk"),
        ("neon", "napi_", _WORD + "{60,70}+"),
        ("netlify", "nf[pcou]_", _WORD + "{36,40}+"),
        ("new relic", "NR(?:AK|JS|II|AA|RA)-", "[0-9A-Za-z-]{19,36}+"),
        ("new relic", "[0-9a-f]{36}NRAL", "(?![0-9A-Za-z])"),
        ("notion", "ntn_", _WORD + "{40,50}+"),
        ("notion", "secret_", _WORD + "{43}(?![A-Za-z0-9])", True),
        ("npm", "npm_", _WORD + "{36}(?![A-Za-z0-9])"),
        ("nuget", "oy2", "[a-z0-9]{43}(?![A-Za-z0-9])"),
        ("nvidia", "nvapi-", _SLUG + "{60,70}+"),
        ("octopus deploy", "API-", "[A-Z0-9]{25,32}(?![A-Za-z0-9])", True),
        ("okta", "00", _SLUG + r"{40}(?![\w-])", True),
        ("openai", "sk-(?:[a-z0-9]{1,8}-){0,2}", _SLUG + "{20,250}+", True),
        ("openshift", "sha256~", _SLUG + "{43}"),
        ("paypal", r"production\$[a-z0-9]{16}\$", _HEX32),
        ("paypal", r"sandbox\$[a-z0-9]{16}\$", _HEX32),
        ("perplexity", "pplx-", _WORD + "{40,60}+"),
        ("pinecone", "pcsk_", _WORD + "{4,10}_" + _WORD + "{50,70}+"),
        ("plaid", "access-(?:sandbox|development|production)-", _UUID),
        ("planetscale", "pscale_(?:tkn|oauth|pw|app)_", r"[\w=-]{32,64}+"),
        ("posthog", "ph[xs]_", _WORD + "{40,60}+"),
        ("postman", "PMAK-", "[0-9a-f]{24}-[0-9a-f]{34}"),
        ("prefect", "pn[ub]_", _WORD + "{36}"),
        ("pulumi", "pul-", _HEX40),
        ("pypi", "pypi-", _SLUG + "{60,1000}+"),
        ("razorpay", "rzp_(?:live|test)_", _WORD + "{14,24}+"),
        ("readme", "rdme_", "[a-z0-9]{70}"),
        ("render", "rnd_", _WORD + "{24,40}+", True),
        ("replicate", "r8_", _WORD + "{37}"),
        ("resend", "re_[A-Za-z0-9]{8}_", _WORD + "{24}"),
        ("rubygems", "rubygems_", "[0-9a-f]{48}"),
        ("scaleway", "SCW", "[A-Z0-9]{17}(?![A-Za-z0-9])"),
        ("sendgrid", r"SG\.", _SLUG + r"{16,64}\." + _SLUG + "{16,64}+"),
        ("sentry", "sntrys_", r"[\w+/=-]{60,500}+"),
        ("sentry", "sntry[uai]_", _HEX64),
        ("shippo", "shippo_(?:live|test)_", _HEX40),
        ("shopify", "shp(?:at|ca|pa|ss|tka|ua|ut)_", "[0-9A-Fa-f]{32}"),
        ("slack", "xox[abeoprs]-", "[A-Za-z0-9-]{10,250}+"),
        ("slack", r"xoxe\.xox[bp]-", "[A-Za-z0-9-]{40,250}+"),
        ("slack", "xapp-[0-9]-", "[A-Z0-9]{8,14}-[0-9]{8,16}-[0-9a-f]{40,80}+"),
        ("sonar", "sq[uap]_", _HEX40),
        ("sourcegraph", "sgp_(?:[0-9a-f]{16}_|local_)?", _HEX40),
        ("square", "sq0(?:atp|csp|idp)-", _SLUG + "{22,60}+"),
        ("square", "EAAA", _SLUG + r"{60}(?![\w-])"),
        ("ssh", "b3BlbnNzaC1rZXktdjE", _B64 + "{60,4000}+"),
        ("stripe", "[rsp]k_(?:live|test|prod)_", _WORD + "{16,255}+"),
        ("stripe", "whsec_", r"[\w+/=]{24,128}+"),
        ("supabase", "sb[ap]_", _HEX40),
        ("supabase", "sb_secret_", _SLUG + "{24,50}+"),
        ("tailscale", "tskey-[a-z]{3,8}-", "[A-Za-z0-9-]{20,80}+"),
        ("tavily", "tvly-", _SLUG + "{32,50}+"),
        ("telegram", "[0-9]{8,10}:AA", _SLUG + r"{33}(?![\w-])"),
        ("terraform", r"[A-Za-z0-9]{14}\.atlasv1\.", _SLUG + "{60,70}+"),
        ("twilio", "SK", _HEX32 + "(?![0-9A-Za-z])"),
        ("twilio", "AC", _HEX32 + "(?![0-9A-Za-z])"),
        ("twitter", "AAAAAAAAAAAAAAAAAAAAA", r"[\w%]{60,120}+"),
        ("typeform", "tfp_", r"[\w=-]{40,70}+"),
        ("vault", r"hv[bsr]\.", _SLUG + "{24,300}+"),
        ("vault", r"s\.", _WORD + "{24}(?![A-Za-z0-9.(])", True),
        ("vercel", "v(?:ercel_blob_rw|c[pairk])_", _SLUG + "{24,60}+", True),
        ("wallet", "[xyz]prv", _WORD + "{107,108}"),
        ("wallet", "nsec1", "[a-z0-9]{58}"),
        ("xai", "xai-", _WORD + "{70,90}+"),
        ("yandex", "AQVN", _SLUG + r"{35,38}(?![\w-])", True),
        ("yandex", "YC", _SLUG + r"{35,38}(?![\w-])", True),
        ("yandex", r"t1\.", r"[\w-]{40,500}+={0,2}\.[\w-]{86}={0,2}"),
    )
)
