// Fields that only Weir or a proxy may say: their spellings with "_", Connection options that name them, and
// trailer sections that hold them.
// Law: what a server may take for such a field is marked, and nothing else is.
// Source: RFC 9110 sections 5.1, 6.5.1 and 7.6.1; RFC 7230 section 4.1.2; PEP 3333 (names in WSGI).

import Testing

@testable import Wire

/// Fields of a request with these lines, as "!name=value:known"; the mark is there where the field ends.
private func fields(_ lines: String) -> [String]? {
    guard case .read(let reading) = request("GET / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n") else { return nil }
    return Array(reading.fields.dropFirst())
}

/// Every way to write some of the dashes of a name as another byte that some server reads as one.
private func respelled(_ name: String, _ separator: Character = "_") -> [String] {
    let dashes = name.indices.filter { name[$0] == "-" }
    return (1..<(1 << dashes.count)).map { set in
        var spelling = Array(name)
        for (bit, index) in dashes.enumerated() where set >> bit & 1 == 1 {
            spelling[name.distance(from: name.startIndex, to: index)] = separator
        }
        return String(spelling)
    }
}

@Suite struct GuardedFieldTests {
    static let guarded: Set<KnownField> = [
        .keepAlive, .proxyConnection, .proxyAuthenticate, .proxyAuthorization, .forwardedFor, .forwardedProto,
        .forwardedHost, .forwardedPort, .requestID,
    ]

    @Test(
        """
        A known name with any dash as another byte that is no letter or digit is a lookalike where Weir \
        guards the field, else an unknown name
        """,
        arguments: Array("_.!#$%&'*+^`|~"))
    func spellings(_ separator: Character) {
        for (field, name) in NameTests.names {
            for spelling in respelled(name, separator) {
                for text in [spelling, spelling.uppercased()] {
                    let found = fields("\(text): 1\r\n")
                    switch field {
                    case .contentLength, .transferEncoding:
                        #expect(found == nil, "\(text)")
                    case .weir:
                        #expect(found == ["\(text)=1:weir"])
                    default:
                        let known = Self.guarded.contains(field) ? "lookalike" : "none"
                        #expect(found == ["\(text)=1:\(known)"])
                    }
                }
            }
        }
    }

    @Test(
        "x-weir and what begins with x-weir- are Weir's in every spelling, and nothing else that looks so is",
        arguments: [
            ("x-weir-", "weir"), ("X-Weir-", "weir"), ("x_weir_", "weir"), ("X_WEIR-", "weir"),
            ("x-weir_", "weir"), ("x-weir-a", "weir"), ("x_weir_shadow", "weir"), ("x-weir-a_b", "weir"),
            ("X_Weir_Anything-At-All_of_any_length", "weir"), ("x-weir-!", "weir"), ("x-weir", "weir"),
            ("x_weir", "weir"), ("X-WEIR", "weir"), ("x.weir", "weir"), ("x-weiR.version", "weir"),
            ("x.WEIR.version", "weir"), ("x+weir~id", "weir"), ("xweir", "none"), ("x-wei", "none"),
            ("x-weird-a", "none"), ("xx-weir-a", "none"), ("x--weir-", "none"),
            ("x.weir.a", "weir"), ("x_weir.", "weir"), ("weir-a", "none"), ("_", "none"), (".", "none"),
            ("_x-forwarded-for", "none"), ("x_forwarded_fo", "none"), ("x_forwarded_for_", "none"),
            ("user_id", "none"), ("api_key", "none"),
        ])
    func prefix(_ name: String, _ known: String) {
        #expect(fields("\(name): 1\r\n") == ["\(name)=1:\(known)"])
        // A name that the parser has seen at this place is known by its memo.
        var parser = HeadParser()
        for _ in 0..<2 {
            var scanned = 0
            let head = bytes("GET / HTTP/1.1\r\nHost: a\r\n\(name): 1\r\n\r\n")
            guard case .read(let reading) = readRequest(head, &parser, scanned: &scanned) else {
                Issue.record("\(name) was refused")
                return
            }
            #expect(reading.fields[1] == "\(name)=1:\(known)")
        }
    }

    @Test("Connection drops unknown fields that it names, and no field that is known to be end-to-end")
    func options() {
        for (field, name) in NameTests.names
        where ![.host, .contentLength, .transferEncoding].contains(field) {
            let value = field == .expect ? "100-continue" : "1"
            let found = fields("Connection: close, \(name.uppercased())\r\n\(name): \(value)\r\n")
            // Weir's own are dropped by their kind.
            let isDropped = field.isHopByHop || field == .weir
            #expect(found?.last?.hasPrefix("!") == isDropped, "\(name)")
        }
        for name in ["x-hop", "x_request_id", "x-real-ip", "sec-websocket-key", "range"] {
            #expect(fields("Connection: \(name)\r\n\(name): 1\r\n")?.last?.hasPrefix("!") == true, "\(name)")
        }
        #expect(fields("Connection: x-request-id;q=1\r\n") == nil)
        #expect(fields("Connection: host\r\n") == nil)
    }

    static let passing = [
        "x-sum", "grpc-status", "grpc-message", "grpc-status-details-bin", "digest", "content-digest", "etag",
        "server-timing", "server", "x-weird", "ranges", "agent", "if-matched", "x-request", "user_id",
    ]
    static let dropped = [
        "connection", "keep-alive", "proxy-connection", "te", "upgrade", "trailer", "expect", "range",
        "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "max-forwards",
        "pragma", "cache-control", "authorization", "proxy-authorization", "proxy-authenticate",
        "www-authenticate", "authentication-info", "proxy-authentication-info", "cookie", "set-cookie", "age",
        "date", "expires", "location", "retry-after", "vary", "warning", "content-type", "content-encoding",
        "content-range", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
        "x-forwarded-port", "via", "x-request-id", "traceparent", "tracestate", "idempotency-key",
        "x-weir-version", "x-weir-id", "x-weir-", "x_weir_version", "x_forwarded_for", "X-Forwarded_Host",
        "x_request_id", "keep_alive", "x-weir", "x.weir.version", "x.forwarded.for", "x+request+id",
    ]

    @Test("A trailer section keeps what is of the content, in both directions")
    func trailers() {
        var parser = HeadParser()
        for kind in [MessageKind.request, .response] {
            for (names, isKept) in [(Self.passing, true), (Self.dropped, false)] {
                for name in names {
                    for spelling in [name, name.uppercased()] {
                        var scanned = 0
                        let section = bytes("\(spelling): 1\r\n\r\n")
                        let ending = readTrailers(section, &parser, scanned: &scanned, of: kind)
                        guard case .read(let reading) = ending else {
                            Issue.record("\(spelling): \(ending)")
                            continue
                        }
                        #expect(reading.fields[0].hasPrefix("!") != isKept, "\(spelling)")
                    }
                }
            }
        }
    }

    @Test("A response whose line limit is that of its head may use all of it for one field")
    func wholeHead() {
        let limits = HeadLimits(lineBytesMax: 200, headBytesMax: 200, fieldsMax: 4)
        func head(value: Int) -> String {
            "HTTP/1.1 200 OK\r\nx: \(String(repeating: "v", count: value))\r\n\r\n"
        }
        // 24 bytes beside the value.
        #expect(response(head(value: 176), limits).isRead)
        #expect(response(head(value: 177), limits) == .refused(502, "head_too_long"))
        #expect(
            response("HTTP/1.1 200 OK\r\n" + String(repeating: "x: 1\r\n", count: 4) + "\r\n", limits).isRead)
        #expect(
            response("HTTP/1.1 200 OK\r\n" + String(repeating: "x: 1\r\n", count: 5) + "\r\n", limits)
                == .refused(502, "fields_too_many"))
    }
}
