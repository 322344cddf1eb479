// Names that carry credentials, in the spellings of clouds, gateways and frameworks, and names that only
// look like them.

import Testing

@testable import Payload

@Suite struct SecretNameTests {
    @Test(
        "A credential's name is found in any spelling",
        arguments: [
            "api-key", "API_KEY", "apikey", "apiKey", "x-api-key", "X-Goog-Api-Key", "x_goog_api_key",
            "Ocp-Apim-Subscription-Key", "subscriptionKey", "x-functions-key", "Azure-OpenAI-API-Key",
            "X-Auth-Token",
            "x-auth", "xauthtoken", "X-Amz-Security-Token", "x-amz-signature", "X-Amz-Credential",
            "x-vault-token",
            "PRIVATE-TOKEN", "x-csrf-token", "X-XSRF-TOKEN", "access_token", "accessToken", "id_token",
            "refresh_token",
            "hf-token", "token", "Authorization", "x-forwarded-authorization", "Proxy-Authenticate",
            "client_secret",
            "clientSecret", "X-Client-Secret", "password", "user_password", "passwd", "pwd", "cookie",
            "Set-Cookie2",
            "x-session", "X-Session-Id", "JSESSIONID", "PHPSESSID", "connect.sid", "sid", "Stripe-Signature",
            "X-Hub-Signature-256", "sig", "X-Credentials", "db.credential", "x-access-key-id",
            "secret_access_key", "key",
            "x-jwt-assertion", "DPoP", "oauth_verifier", "code_verifier", "x-otp", "user_pass",
            "x-amz-server-side-encryption-customer-key",
        ])
    func secret(_ name: String) { #expect(SecretName.matches(name)) }

    @Test(
        "A name that only looks like one is none: counts of tokens, keys of caches, authors",
        arguments: [
            "", "-", "x-request-id", "traceparent", "max-tokens", "max_new_tokens",
            "x-ratelimit-remaining-tokens",
            "tokens-per-second", "prompt_tokens", "completionTokens", "token-count", "x-max-token",
            "tokenType",
            "token_type", "time-per-output-token", "x-time-to-first-token", "x-token-usage",
            "idempotency-key",
            "Sec-WebSocket-Key", "surrogate-key", "partition-key", "x-cache-key", "keys", "monkey", "author",
            "authority",
            ":authority", "x-author-id", "content-type", "signature_name", "x-model-signature-version",
            "design",
            "assign", "x-weir-version", "user-agent", "host", "accept", "etag", "passthrough", "bypass",
            "compass",
            "inside", "x-user-id", "uid",
        ])
    func innocent(_ name: String) { #expect(!SecretName.matches(name)) }

    @Test("Names are words, which punctuation and capitals separate")
    func words() {
        #expect(SecretName.words(of: "X-GoogApiKey_2.b") == ["x", "goog", "api", "key", "2", "b"])
        #expect(SecretName.words(of: "HTTPToken") == ["httptoken"])
        #expect(SecretName.words(of: "--") == [])
    }
}
