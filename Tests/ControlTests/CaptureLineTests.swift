// What a copied exchange looks like as a line, and what is not in it: masks come before everything else.
// Random tests name their seed.

import Payload
import Platform
import Proxy
import Testing

@testable import Config
@testable import Control

private let names = CaptureNames(model: "m", versions: [0: "v1", 1: "v2"])

/// The line as it would stand in a file, read back.
private func line(_ sample: CaptureSample, _ config: CapturesConfig = CapturesConfig()) throws -> JSON {
    var bytes: [UInt8] = []
    sample.lend { bytes = CaptureLine(config).line($0, id: "1", names) }
    #expect(!bytes.contains { $0 < 0x20 }, "one line")
    return try JSON(parsing: Array("{".utf8) + bytes)
}

private func header(_ name: String, _ message: JSON?) -> String? {
    message?["headers"]?.elements.first { $0[0]?.string == name }?[1]?.string
}

@Suite struct CaptureLineTests {
    @Test("A line says what was asked, what was answered, by whom and how it went")
    func whole() throws {
        var sample = CaptureSample(version: 1, [.drawn, .failed])
        sample.record.answered = 0
        sample.record.isShielded = true
        sample.record.outcome = .upstreamError
        sample.record.responseStatus = 500
        sample.record.totalMicros = 1_500
        sample.record.bytesIn = 2
        sample.responseHead = "HTTP/1.1 500 Went wrong\r\nX-A:  b \r\n\r\n"
        sample.responseBody = Array("caf\u{e9} \"x\"\n\u{2028}\u{1}".utf8)
        let line = try line(sample)
        #expect(line["version"] == "v2" && line["answered_by"] == "v1" && line["response_of"] == "v2")
        #expect(line["outcome"] == "upstream_error" && line["shielded"] == true && line["status"] == 200)
        #expect(line["why"] == ["drawn", "failed"] && line["at"] == "2026-11-18T11:06:40.000000Z")
        #expect(line["total_us"] == 1_500 && line["first_byte_us"] == .null)
        let request = line["request"]
        #expect(request?["method"] == "POST" && request?["target"] == "/m?q=1")
        #expect(request?["body"] == "{}" && request?["body_bytes"] == 2 && request?["body_cut"] == false)
        let response = line["response"]
        #expect(response?["status"] == 500 && response?["reason"] == "Went wrong")
        #expect(header("X-A", response) == "b")
        #expect(response?["body"]?.string == "caf\u{e9} \"x\"\n\u{2028}\u{1}")
        // The client got another response than the one in the line.
        #expect(response?["body_bytes"] == .null)
    }

    @Test("An exchange that nobody answered has no response")
    func unanswered() throws {
        var sample = CaptureSample()
        sample.record.responseStatus = 0
        sample.record.responded = .max
        let line = try line(sample)
        #expect(line["response"] == .null && line["response_of"] == .null)
    }

    @Test(
        "Headers with credentials are masked in any spelling, without being asked",
        arguments: [
            "Authorization", "COOKIE", "set-cookie", "Proxy-Authorization", "X-API-Key", "x-mine", "api-key",
            "X-Auth-Token", "x-goog-api-key", "Ocp-Apim-Subscription-Key", "x-amz-security-token",
            "x-session-id",
            "x-client-secret",
        ])
    func maskedHeaders(_ name: String) throws {
        var config = CapturesConfig()
        config.maskedHeaders.insert("x-mine")
        var sample = CaptureSample()
        sample.requestHead = "GET / HTTP/1.1\r\nhost: h\r\n\(name): s3cret\r\nx-open: 1\r\n\r\n"
        sample.responseHead = "HTTP/1.1 200 OK\r\n\(name):s3cret\r\n\r\n"
        let line = try line(sample, config)
        #expect(!line.text.contains("s3cret"))
        #expect(header(name, line["request"]) == "***" && header(name, line["response"]) == "***")
        #expect(header("x-open", line["request"]) == "1")
    }

    @Test(
        "Query parameters with credentials are masked however they are spelled; the rest keeps its bytes",
        arguments: [
            ("/m?token=s3cret", "/m?token=***"), ("/m?a=1&API_Key=s3cret&b=2", "/m?a=1&API_Key=***&b=2"),
            ("/m?%54oken=s3cret", "/m?%54oken=***"), ("/m?x=1;sig=s3cret;y", "/m?x=1;sig=***;y"),
            ("/m?mine=s3cret=s3cret", "/m?mine=***"), ("/m?password=s3cret#f", "/m?password=***#f"),
            ("http://h/m?key=s3cret", "http://h/m?key=***"), ("/m?token", "/m?token"), ("/m", "/m"),
            ("/m?", "/m?"), ("/m?&&=&monkey=1&keys=2", "/m?&&=&monkey=1&keys=2"),
            ("/m?to%4=1&signature=", "/m?to%4=1&signature=***"),
            ("/m#access_token=s3cret&b=1", "/m#access_token=***&b=1"),
            ("/m?a=1&subscription-key=s3cret&max_tokens=7", "/m?a=1&subscription-key=***&max_tokens=7"),
            ("/m?clientSecret=s3cret&request_id=7", "/m?clientSecret=***&request_id=7"),
            ("/m?token=\u{301}s3cret", "/m?token=***"),
        ])
    func maskedQuery(_ target: String, _ kept: String) throws {
        var config = CapturesConfig()
        config.maskedQuery.insert("mine")
        var sample = CaptureSample()
        sample.requestHead = "GET \(target) HTTP/1.1\r\nhost: h\r\nreferer: \(target)\r\n\r\n"
        sample.responseHead = "HTTP/1.1 302 Found\r\nlocation: \(target)\r\n\r\n"
        let line = try line(sample, config)
        #expect(line["request"]?["target"]?.string == kept)
        #expect(header("referer", line["request"]) == kept)
        #expect(header("location", line["response"]) == kept)
        let entry = CaptureHAR.entry(line)
        #expect(!line.text.contains("s3cret") && !entry.text.contains("s3cret"))
        #expect(entry["request"]?["url"]?.string?.hasSuffix(kept) == true)
    }

    @Test("Any header that holds a URL is masked in it, whatever the header's name")
    func urlInHeader() throws {
        var sample = CaptureSample()
        sample.responseHead =
            "HTTP/1.1 200 OK\r\nlink: </p?token=s3cret&page=2>\r\n"
            + "x-next: https://h/?a=b#id_token=s3cret\r\n\r\n"
        let line = try line(sample)
        #expect(header("link", line["response"]) == "</p?token=***&page=2>")
        #expect(header("x-next", line["response"]) == "https://h/?a=b#id_token=***")
    }

    @Test("A form's fields are masked as a query's parameters are; other bodies are not")
    func form() throws {
        var sample = CaptureSample()
        let body = "grant_type=x&client_secret=s3cret&refresh_token=s3cret&max_tokens=7"
        sample.requestBody = Array(body.utf8)
        sample.requestHead =
            "POST / HTTP/1.1\r\nContent-Type: Application/x-www-form-urlencoded; charset=utf-8\r\n\r\n"
        let kept = try line(sample)
        #expect(
            kept["request"]?["body"]?.string
                == "grant_type=x&client_secret=***&refresh_token=***&max_tokens=7")
        sample.requestBody += [0xFF]
        #expect(try !line(sample).text.contains("s3cret"))
        sample.requestHead = "POST / HTTP/1.1\r\ncontent-type: text/plain\r\n\r\n"
        sample.requestBody = Array(body.utf8)
        #expect(try line(sample)["request"]?["body"]?.string == body)
    }

    @Test("A name that is excepted is kept, unless the file masks it or it is always masked")
    func excepted() throws {
        var config = CapturesConfig()
        config.excepted = ["x-session-id", "session", "authorization", "x-mine-token"]
        config.maskedHeaders.insert("x-mine-token")
        var sample = CaptureSample()
        sample.requestHead =
            "GET /?session=7&token=s3cret HTTP/1.1\r\nX-Session-Id: 7\r\nauthorization: s3cret\r\n"
            + "x-mine-token: s3cret\r\n\r\n"
        let line = try line(sample, config)
        #expect(header("X-Session-Id", line["request"]) == "7" && !line.text.contains("s3cret"))
        #expect(line["request"]?["target"] == "/?session=7&token=***")
    }

    @Test("A head that was cut anywhere shows no part of what is masked")
    func cutHead() throws {
        let head = "GET /?token=s3cret HTTP/1.1\r\nhost: h\r\nauthorization: s3cret\r\nx-open: 1\r\n\r\n"
        for count in 0...head.utf8.count {
            var sample = CaptureSample([.drawn, .requestHeadCut])
            sample.requestHead = String(decoding: Array(head.utf8.prefix(count)), as: UTF8.self)
            let line = try line(sample)
            #expect(!line.text.contains("s3"), "cut at \(count)")
            #expect(line["request"]?["head_cut"] == true)
        }
    }

    @Test("Values at masked paths are in no line; a body that cannot be masked is withheld")
    func maskedPaths() throws {
        var config = CapturesConfig()
        config.maskedPaths = [try JSONPath("$.user.name"), try JSONPath("$.inputs[*].data")]
        var sample = CaptureSample()
        sample.requestBody = Array(#"{"user":{"name":"s3cret","age":3},"inputs":[{"data":["s3cret"]}]}"#.utf8)
        sample.responseBody = Array("no JSON, s3cret".utf8)
        let kept = try line(sample, config)
        #expect(!kept.text.contains("s3cret"))
        #expect(
            kept["request"]?["body"]?.string
                == #"{"user":{"name":"***","age":3},"inputs":[{"data":"***"}]}"#)
        #expect(kept["response"]?["body"] == .null)
        #expect(kept["response"]?["withheld"]?.string?.contains("not JSON") == true)
        sample.record.traits.insert(.requestBodyCut)
        let cut = try line(sample, config)
        #expect(!cut.text.contains("s3cret") && cut["request"]?["withheld"] != nil)
        sample.requestBody = []
        #expect(try line(sample, config)["request"]?["body"] == "")
    }

    @Test("A body beyond the model's own bound is cut and marked")
    func bodyBound() throws {
        var config = CapturesConfig()
        config.bodyBytesMax = 3
        var sample = CaptureSample()
        sample.requestBody = Array("abcdef".utf8)
        sample.responseBody = Array("abc".utf8)
        let line = try line(sample, config)
        #expect(line["request"]?["body"] == "abc" && line["request"]?["body_cut"] == true)
        #expect(line["response"]?["body"] == "abc" && line["response"]?["body_cut"] == false)
    }

    @Test(
        "Bytes that are no text are base64 (RFC 4648, section 10)",
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
        ])
    func base64(_ text: String, _ expected: String) throws {
        #expect(Base64.text(Array(text.utf8)) == expected)
        var sample = CaptureSample()
        sample.requestBody = [0xFF] + Array(text.utf8)
        let request = try line(sample)["request"]
        #expect(request?["encoding"] == "base64")
        #expect(request?["body"]?.string == Base64.text(sample.requestBody))
    }

    @Test("Any bytes give one line of JSON", arguments: 0..<20)
    func anyBytes(_ seed: UInt64) throws {
        var random = Random64(seed: seed)
        func bytes(_ most: UInt64) -> [UInt8] {
            (0..<random.below(most)).map { _ in
                // Often bytes that mean something.
                random.below(2) == 0
                    ? Array("\r\n:\"\\ {}[]\u{2028}".utf8)[Int(random.below(13))] : UInt8(random.below(256))
            }
        }
        for _ in 0..<50 {
            var sample = CaptureSample()
            sample.requestHead = String(decoding: bytes(200), as: UTF8.self)
            sample.responseHead = String(decoding: bytes(200), as: UTF8.self)
            sample.requestBody = bytes(300)
            sample.responseBody = bytes(300)
            let line = try line(sample)
            #expect(line["request"]?["body"] != nil && line["response"]?["body"] != nil)
        }
    }
}
