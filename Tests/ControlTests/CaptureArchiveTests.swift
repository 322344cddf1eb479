// Captures read back: what there is, what a selection wants, and the HTTP archive that is made of them.
// Place: CaptureArchive over files, CaptureHAR over lines.

import Payload
import Platform
import Proxy
import Testing

@testable import Config
@testable import Control

private let names = CaptureNames(model: "m", versions: [0: "v1", 1: "v2"])

private func text(_ sample: CaptureSample, id: String, kept: String, cut: String? = nil) -> String {
    var bytes: [UInt8] = []
    sample.lend { bytes = CaptureLine(CapturesConfig()).line($0, id: id, names) }
    let id = cut.map { "\"cut\":\"\($0)\"," } ?? ""
    return "{\"kept\":\"\(kept)\",\(id)\(String(decoding: bytes, as: UTF8.self))\n"
}

/// Two versions' samples, the same exchange around two trips, and lines that are none.
private func archive(_ scratch: Scratch) throws -> CaptureArchive {
    try File.makeDirectory(scratch.path + "/captures")
    var late = CaptureSample(version: 1)
    late.record.wallMicros += 60_000_000
    let first = text(CaptureSample(), id: "1", kept: "sample") + text(late, id: "2", kept: "sample")
    let second =
        "\n{\"torn\": tr\n" + text(late, id: "2", kept: "cut", cut: "cut-1")
        + text(late, id: "2", kept: "cut", cut: "cut-2") + "{\"kept\":\"sample\""
    try File.replace(scratch.path + "/captures/m.20261118.2.jsonl", with: Array(second.utf8))
    try File.replace(scratch.path + "/captures/m.20261118.1.jsonl", with: Array(first.utf8))
    try File.replace(scratch.path + "/captures/notes.txt", with: Array("x\n".utf8))
    return CaptureArchive(stateDirectory: scratch.path)
}

@Suite struct CaptureArchiveTests {
    @Test("The list has a row for every model, version and trip; what is no capture is counted")
    func sets() throws {
        let scratch = try Scratch()
        var archive = try archive(scratch)
        let sets = try archive.sets(CaptureSelection())
        #expect(sets.map(\.version) == ["v1", "v2", "v2", "v2"])
        #expect(sets.map(\.kept) == ["sample", "cut", "cut", "sample"])
        #expect(sets.map(\.cut) == [nil, "cut-1", "cut-2", nil])
        #expect(sets.allSatisfy { $0.count == 1 && $0.from == $0.to && $0.bytes > 100 })
        #expect(archive.skipped == 1)
    }

    @Test(
        "A selection gives each of its exchanges once",
        arguments: [
            (CaptureSelection(), ["1", "2"]), (CaptureSelection(model: "m"), ["1", "2"]),
            (CaptureSelection(model: "n"), []), (CaptureSelection(version: "v2"), ["2"]),
            (CaptureSelection(cut: "cut-2"), ["2"]), (CaptureSelection(cut: "cut-3"), []),
            (CaptureSelection(sinceMicros: 1_795_000_030_000_000), ["2"]),
        ])
    func selection(_ selection: CaptureSelection, _ expected: [String]) throws {
        let scratch = try Scratch()
        var archive = try archive(scratch)
        var ids: [String] = []
        try archive.each(selection) { capture, line in
            ids.append(capture["id"]?.string ?? "")
            #expect((try? JSON(parsing: line)) == capture)
        }
        #expect(ids == expected)
    }

    @Test("No folder is no captures")
    func nothing() throws {
        let scratch = try Scratch()
        var archive = CaptureArchive(stateDirectory: scratch.path)
        #expect(try archive.sets(CaptureSelection()).isEmpty && archive.skipped == 0)
    }

    @Test("The HTTP archive has every member that HAR 1.2 requires")
    func har() throws {
        var sample = CaptureSample()
        sample.requestHead = "POST /m?a=1&b HTTP/1.1\r\nHost: h:80\r\nContent-Type: text/x\r\n\r\n"
        sample.requestBody = [0xFF]
        sample.responseHead = "HTTP/1.1 302 Found\r\nlocation: /n\r\n\r\n"
        sample.record.totalMicros = 2_500
        sample.record.firstByteMicros = 2_000
        var unanswered = CaptureSample()
        unanswered.record.responseStatus = 0
        var har = CaptureHAR()
        var page = har.head
        for sample in [sample, unanswered] {
            page += har.entry(try JSON(parsing: text(sample, id: "1", kept: "sample")))
        }
        page += har.tail
        let log = try #require(try JSON(parsing: page)["log"])
        #expect(log["version"] == "1.2" && log["creator"]?["name"] == "weir")
        let entries = try #require(log["entries"]?.elements)
        #expect(entries.count == 2)
        for entry in entries {
            for name in ["startedDateTime", "time", "request", "response", "cache", "timings"] {
                #expect(entry[name] != nil, "\(name)")
            }
            for name in [
                "method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize",
                "bodySize",
            ] {
                #expect(entry["request"]?[name] != nil, "request.\(name)")
            }
            for name in [
                "status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL",
                "headersSize", "bodySize",
            ] {
                #expect(entry["response"]?[name] != nil, "response.\(name)")
            }
            #expect(entry["response"]?["content"]?["size"] != nil)
            #expect(entry["response"]?["content"]?["mimeType"] != nil)
            for name in ["send", "wait", "receive"] {
                #expect((entry["timings"]?[name]?.number ?? -1) >= 0, "timings.\(name)")
            }
        }
        let request = entries[0]["request"]
        #expect(request?["url"] == "http://h:80/m?a=1&b")
        #expect(request?["queryString"]?[1] == ["name": "b", "value": ""])
        #expect(request?["postData"]?["text"] == "/w==" && request?["postData"]?["_encoding"] == "base64")
        #expect(entries[0]["time"]?.number == 2.5 && entries[0]["timings"]?["wait"]?.number == 2)
        #expect(entries[0]["response"]?["redirectURL"] == "/n")
        #expect(entries[1]["response"]?["status"] == 0)
    }
}
