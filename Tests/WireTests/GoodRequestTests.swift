// What a well-formed request head means.

import Testing

@testable import Wire

@Suite struct GoodRequestTests {
    @Test("A usual request is read as it stands")
    func usual() throws {
        let text =
            "POST /v2/models/iris/infer?x=1 HTTP/1.1\r\nHost: a.example:8080\r\nContent-Type: application/json\r\n"
            + "Content-Length: 42\r\nX-User-Id: u-7\r\n\r\nrest"
        #expect(
            request(text)
                == .read(
                    Reading(
                        start: [
                            "post", "POST", "origin", "/v2/models/iris/infer?x=1", "/v2/models/iris/infer",
                            "x=1", "a.example:8080", "1.1",
                        ],
                        fields: [
                            "Host=a.example:8080:host", "Content-Type=application/json:contentType",
                            "Content-Length=42:contentLength", "X-User-Id=u-7:none",
                        ],
                        framing: .length(42), flags: ["keep", "query"], byteCount: text.utf8.count - 4)))
    }
}
