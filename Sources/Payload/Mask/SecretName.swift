// Whether a header, a query parameter or a form field carries a credential, by its name: there are more names
// for a token than a list can have. A name is taken as words, which punctuation and capitals separate, so
// that `X-Goog-Api-Key`, `x_goog_api_key` and `xGoogApiKey` are one name.
//
// Theory: model servers count tokens. `max-tokens`, `x-ratelimit-remaining-tokens` and
// `time-per-output-token` carry numbers, so the plural is no credential, and the singular is none beside a
// word of counting. Keys name many things: only a key to something is a credential, not `idempotency-key`,
// `partition-key` or `cache-key`.
//
// Invariant: pure, and generous where in doubt: a value masked in vain costs a look at the config.

/// Judges names.
public enum SecretName {
    /// Words that make a credential of any name.
    static let secret: Set<String> = [
        "assertion", "auth", "authentication", "authenticate", "authorisation", "authorization", "authz",
        "bearer",
        "cred", "creds", "csrf", "dpop", "hmac", "jsessionid", "jwe", "jws", "jwt", "oauth", "oauth2", "otp",
        "passcode", "passwd", "pwd", "saml", "session", "sessions", "sid", "sig", "totp", "xsrf",
    ]
    /// Parts of a word that do, so that `accesstoken` and `set-cookie2` are found.
    static let secretParts = [
        "accesskey", "apikey", "cookie", "credential", "passphrase", "password", "privatekey", "secret",
        "sessid",
        "sessionid", "subscriptionkey",
    ]
    /// Words before `key`, `keys` or `keyid` that make it a key to something.
    static let keyOf: Set<String> = [
        "access", "account", "admin", "api", "app", "application", "auth", "client", "consumer", "customer",
        "encryption", "function", "functions", "host", "licence", "license", "master", "org", "private",
        "project",
        "secret", "service", "shared", "signing", "storage", "subscription", "team", "user", "webhook",
    ]
    /// Words beside `token` that make it something that is counted or described.
    static let counting: Set<String> = [
        "budget", "count", "counts", "first", "last", "latency", "length", "limit", "limits", "max", "min",
        "next",
        "number", "output", "input", "per", "price", "rate", "remaining", "throughput", "time", "total",
        "type", "usage",
        "used",
    ]
    /// Words beside `signature` that make it a name or a rule: models have signatures as well.
    static let describing: Set<String> = [
        "alg", "algorithm", "def", "method", "model", "name", "type", "version",
    ]

    /// Whether values under this name are to be masked.
    public static func matches(_ name: String) -> Bool {
        // Capitals separate words, or mean nothing: `accessToken` and `DPoP`.
        matches(words: words(of: name)) || matches(words: words(of: name.lowercased()))
    }

    private static func matches(words: [String]) -> Bool {
        if words == ["key"] || words == ["code", "verifier"] || words.last == "pass" { return true }
        for (i, word) in words.enumerated() {
            if secret.contains(word) || secretParts.contains(where: { word.contains($0) }) { return true }
            if word.hasSuffix("token"), word != "token" || counting.isDisjoint(with: words) { return true }
            if word.hasSuffix("signature"), describing.isDisjoint(with: words) { return true }
            let isKey = word == "key" || word == "keys" || word == "keyid"
            if isKey, i > 0, keyOf.contains(words[i - 1]) { return true }
        }
        return false
    }

    /// The words in lower case: `X-Goog-ApiKey2` is x, goog, api, key2.
    static func words(of name: String) -> [String] {
        var words: [String] = []
        var word: [UInt8] = []
        var isLower = false
        func isUpper(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) }
        for byte in name.utf8 {
            let isPart =
                isUpper(byte) || (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte > 0x7F
            if !isPart || isUpper(byte) && isLower {
                if !word.isEmpty { words.append(String(decoding: word, as: UTF8.self)) }
                word = []
            }
            if isPart { word.append(isUpper(byte) ? byte | 0x20 : byte) }
            isLower = isPart && !isUpper(byte)
        }
        if !word.isEmpty { words.append(String(decoding: word, as: UTF8.self)) }
        return words
    }
}
