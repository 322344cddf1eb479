// Random damage to well-formed messages: nothing traps, and nothing is accepted that an independent, slow
// reading of the RFC would not accept.
// A failure names its seed; WEIR_TEST_SEED takes it back.

import Corpora
import Testing

@testable import Wire

/// One to four random edits: bytes replaced, inserted, removed, doubled, or runs moved.
func mutate(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
    let pieces: [[UInt8]] = [
        [0], [9], [10], [13], [32], [58], [127], [128], [255], [13, 10], [13, 10, 32], [13, 10, 13, 10],
        Array("Content-Length: 3\r\n".utf8), Array("Transfer-Encoding: chunked\r\n".utf8),
        Array("Connection: x".utf8), Array("Host: b\r\n".utf8), Array(", ".utf8), Array("0".utf8),
        Array("http://".utf8), Array("#".utf8), Array("?".utf8),
    ]
    for _ in 0...random.below(4) {
        let at = bytes.isEmpty ? 0 : random.below(bytes.count)
        switch random.below(6) {
        case 0 where !bytes.isEmpty: bytes[at] = UInt8(truncatingIfNeeded: random.next())
        case 1 where !bytes.isEmpty: bytes[at] ^= 1 << UInt8(random.below(8))
        case 2: bytes.insert(contentsOf: pieces[random.below(pieces.count)], at: at)
        case 3 where !bytes.isEmpty: bytes.removeSubrange(at..<min(bytes.count, at + 1 + random.below(8)))
        case 4: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + random.below(40))], at: at)
        default: bytes.insert(pieces[random.below(9)][0], at: at)
        }
    }
}

/// A slow and independent reading: whether `head` is a request head within the grammar that Weir keeps to.
private func isWithinGrammar(_ head: [UInt8]) -> Bool {
    var text = text(head)
    while text.unicodeScalars.starts(with: "\r\n".unicodeScalars) {
        text.unicodeScalars.removeFirst(2)
    }
    let scalars = Array(text.unicodeScalars)
    guard scalars.suffix(4).elementsEqual("\r\n\r\n".unicodeScalars) else { return false }
    var lines: [[Unicode.Scalar]] = [[]]
    var index = 0
    while index < scalars.count - 2 {
        if scalars[index] == "\r" {
            guard scalars[index + 1] == "\n" else { return false }
            lines.append([])
            index += 2
            continue
        }
        guard scalars[index] != "\n" else { return false }
        lines[lines.count - 1].append(scalars[index])
        index += 1
    }
    guard lines.removeLast().isEmpty else { return false }
    let parts = lines.removeFirst().split(separator: " ", omittingEmptySubsequences: false).map(Array.init)
    guard parts.count == 3, parts[1].allSatisfy({ (0x21...0x7E).contains($0.value) && $0 != "#" }),
        !parts[1].isEmpty, isToken(parts[0])
    else { return false }
    let version = String(String.UnicodeScalarView(parts[2]))
    guard version == "HTTP/1.1" || version == "HTTP/1.0" else { return false }
    var counts: [String: Int] = [:]
    for line in lines {
        guard let colon = line.firstIndex(of: ":"), isToken(Array(line[..<colon])) else { return false }
        guard line[colon...].allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F || $0 == "\t" }) else {
            return false
        }
        counts[String(String.UnicodeScalarView(line[..<colon])).lowercased(), default: 0] += 1
    }
    let framing = [counts["content-length", default: 0], counts["transfer-encoding", default: 0]]
    guard framing.reduce(0, +) <= 1, framing[1] == 0 || version == "HTTP/1.1" else { return false }
    return counts["host", default: 0] == 1 || version == "HTTP/1.0" && counts["host"] == nil
}

private func isToken(_ scalars: [Unicode.Scalar]) -> Bool {
    let others = "!#$%&'*+-.^_`|~".unicodeScalars
    return !scalars.isEmpty
        && scalars.allSatisfy {
            ("a"..."z").contains($0) || ("A"..."Z").contains($0) || ("0"..."9").contains($0)
                || others.contains($0)
        }
}

@Suite struct MutationTests {
    @Test(
        "A damaged request is refused, or means the same by every cut and lies within the grammar",
        arguments: seeds(300))
    func requests(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var parser = HeadParser()
        for _ in 0..<40 {
            var message = bytes(goodRequests[random.below(goodRequests.count)])
            mutate(&message, &random)
            var scanned = 0
            let whole = readRequest(message, &parser, scanned: &scanned)
            if case .read(let reading) = whole {
                #expect(
                    isWithinGrammar(Array(message[..<reading.byteCount])), "seed \(seed): \(text(message))")
            }
            scanned = 0
            var dripped = Ending.needMore
            var count = 0
            while dripped == .needMore, count <= message.count {
                dripped = readRequest(Array(message[..<count]), &parser, scanned: &scanned)
                count += 1 + random.below(3)
            }
            if dripped == .needMore { dripped = readRequest(message, &parser, scanned: &scanned) }
            // A refusal may come late to a head that is dripped, but never turns into acceptance.
            #expect(dripped.isRead == whole.isRead, "seed \(seed): \(text(message))")
            if whole.isRead { #expect(dripped == whole, "seed \(seed): \(text(message))") }
        }
    }

    @Test(
        "A damaged response or trailer section is refused, or means the same by every cut",
        arguments: seeds(150))
    func responses(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var parser = HeadParser()
        for turn in 0..<40 {
            let sample = goodResponses[random.below(goodResponses.count)]
            var message = bytes(turn % 4 == 0 ? goodTrailers[random.below(goodTrailers.count)] : sample.text)
            mutate(&message, &random)
            func read(_ count: Int, _ scanned: inout Int) -> Ending {
                let part = Array(message[..<count])
                return turn % 4 == 0
                    ? readTrailers(part, &parser, scanned: &scanned, of: .response)
                    : readResponse(part, &parser, scanned: &scanned, to: method(sample.method))
            }
            var scanned = 0
            let whole = read(message.count, &scanned)
            scanned = 0
            var dripped = Ending.needMore
            for count in 0...message.count where dripped == .needMore { dripped = read(count, &scanned) }
            #expect(dripped.isRead == whole.isRead, "seed \(seed): \(text(message))")
            if whole.isRead { #expect(dripped == whole, "seed \(seed): \(text(message))") }
        }
    }

    @Test("A parser that has read other heads reads what a new one reads", arguments: seeds(100))
    func reused(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let names = [
            "host", "Host", "hosts", "a", "accept", "content-type", "Content-Type", "content-typo",
            "x-user-id",
            "x-user-ie", "Content-Length", "x-weir-a", "x-sixteen-bytes!", "x-sixteen-bytes?",
            "x-seventeen-bytes", "x_forwarded_for", "x-forwarded_for", "x_weir_a", "x-weir-", "12345678",
            "123456789", "12345678:", "te\0", "b a",
        ]
        var old = HeadParser()
        for _ in 0..<60 {
            var head = "GET / HTTP/1.1\r\nHost: a\r\n"
            for _ in 0..<random.below(5) {
                head +=
                    names[random.below(names.count)] + [": 1", ":1", ": ", " : 1"][random.below(20) % 4]
                    + "\r\n"
            }
            var message = bytes(head + "\r\n")
            if random.below(3) == 0 { mutate(&message, &random) }
            var scanned = 0
            let ending = readRequest(message, &old, scanned: &scanned)
            #expect(ending == request(text(message)), "seed \(seed): \(text(message))")
        }
    }

    @Test("Random bytes never trap a parser", arguments: seeds(50))
    func noise(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var parser = HeadParser(limits: HeadLimits(lineBytesMax: 50, headBytesMax: 120, fieldsMax: 2))
        let alphabet = Array("GET / HTTP/1.10\r\n\r\n: :,;aA#?\u{0}\t\u{7f}[]@=\"\\xX5fF".utf8) + [128, 255]
        for _ in 0..<300 {
            let message = (0..<random.below(200)).map { _ in alphabet[random.below(alphabet.count)] }
            var scanned = random.below(200)
            _ = readRequest(message, &parser, scanned: &scanned)
            _ = readResponse(message, &parser, scanned: &scanned, to: .get)
            _ = readTrailers(message, &parser, scanned: &scanned, of: .request)
            _ = decode(message, pieces: 1 + random.below(50))
        }
    }
}
