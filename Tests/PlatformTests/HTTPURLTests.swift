// URLs of sinks: taken apart as RFC 3986 says, and refused where they are no address that can be called.

import Platform
import Testing

@Test(
    "A URL is taken apart",
    arguments: [
        ("http://a", "a", 80, "/", "http://a"),
        ("HTTPS://A.b-c/x?y=1", "a.b-c", 443, "/x?y=1", "https://a.b-c"),
        ("http://127.0.0.1:8080?q", "127.0.0.1", 8_080, "/?q", "http://127.0.0.1:8080"),
        ("https://[::1]:443/p", "::1", 443, "/p", "https://[::1]"),
        ("http://a:443/", "a", 443, "/", "http://a:443"),
    ])
private func urlParts(_ text: String, host: String, port: UInt16, target: String, origin: String) throws {
    let url = try HTTPURL(text)
    #expect(url.host == host && url.port == port && url.target == target && url.origin == origin)
}

@Test(
    "A text that is no URL for a sink is refused",
    arguments: [
        "", "a", "ftp://a/", "http://", "http:///x", "http://a:0/", "http://a:65536/", "http://a:/",
        "http://a b/",
        "http://user:pw@a/", "http://a/#f", "http://[::1/", "http://[a]/", "http://a\r\nb/", "http://ä/",
        "http://a:80:80/", "http://[::1]x/",
    ])
private func noURL(_ text: String) {
    #expect(throws: HTTPURL.Malformed.self) { try HTTPURL(text) }
}
