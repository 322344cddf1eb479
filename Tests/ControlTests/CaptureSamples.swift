// Copied exchanges in the hands of a test: the bytes of both messages and what a core would note beside them.
// Place: before `CaptureStore` and whatever else reads taps.

import Metrics
import Platform
import Proxy

@testable import Control

/// A sample that a test lends to a consumer.
struct CaptureSample {
    var record = TapRecord()
    var requestHead = "POST /m?q=1 HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n\r\n"
    var requestBody = Array("{}".utf8)
    var responseHead = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"
    var responseBody = Array("{}".utf8)

    /// Drawn, of model slot 0 and version slot `version`.
    init(version: UInt32 = 0, _ traits: TapTraits = [.drawn]) {
        record.wallMicros = 1_795_000_000_000_000
        record.model = 0
        record.assigned = version
        record.answered = version
        record.responded = version
        record.status = 200
        record.responseStatus = 200
        record.traits = traits
    }

    func lend(_ body: (borrowing TapSample) -> Void) {
        let heads = [Array(requestHead.utf8), Array(responseHead.utf8)]
        heads[0].withUnsafeBytes { requestHead in
            requestBody.withUnsafeBytes { requestBody in
                heads[1].withUnsafeBytes { responseHead in
                    responseBody.withUnsafeBytes { responseBody in
                        body(
                            TapSample(
                                record: record, requestHead: requestHead, requestBody: requestBody,
                                responseHead: responseHead, responseBody: responseBody))
                    }
                }
            }
        }
    }
}

/// A folder in memory that can be filled.
final class FaultyFolder: CaptureDisk {
    var files: [String: [UInt8]] = [:]
    var modified: [String: Int] = [:]
    /// Bytes of all files beyond which an append writes what fits and fails.
    var capacity = Int.max
    /// What is noted as the time of the last write.
    var seconds = 1_795_000_000

    var bytes: Int { files.values.reduce(0) { $0 + $1.count } }

    func list() throws(SystemFailure) -> [File.Entry] {
        files.sorted { $0.key < $1.key }.map {
            File.Entry(name: $0.key, bytes: $0.value.count, modifiedSeconds: modified[$0.key] ?? 0)
        }
    }

    func append(_ lines: [UInt8], to name: String) throws(SystemFailure) {
        let room = max(0, capacity - bytes)
        files[name, default: []] += lines.prefix(room)
        modified[name] = seconds
        if room < lines.count { throw SystemFailure(operation: "write \(name)", errno: Errno(code: 28)) }
    }

    func remove(_ name: String) throws(SystemFailure) { files[name] = nil }
}
