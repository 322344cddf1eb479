// Feedback as it arrives: one JSON object, a JSON array of them, or one object per line. Read on the admin
// thread, so that parsing and the check of an id's tag delay no decision.
// Invariant: any bytes give a list of items and problems, in the order of the body, or one refusal; an id
// that was not written with this Weir's key never comes further than here.

import Payload
import Proxy

/// One item whose id is genuine.
struct PostedFeedback: Sendable, Equatable {
    var id: ExchangeID
    var metric: String
    /// Finite.
    var value: Double
    /// When it happened, microseconds since 1970; nil: when it arrived.
    var wallMicros: UInt64?
}

/// What became of one posted item.
package enum FeedbackResult: String, Sendable, CaseIterable {
    case accepted
    /// The exchange already had feedback of this metric.
    case duplicate
    /// Its attribution window and the grace are over, or it happened after the window.
    case late
    /// It names a version that the config does not have.
    case unknownVersion = "unknown_version"
    /// The id was not made with this Weir's key.
    case forged
    /// It is not what the API documents.
    case malformed
    /// It happened, or its exchange started, later than now.
    case future
    /// The bound on remembered items, or on metrics, is reached.
    case full
}

/// The feedback of one request.
package struct FeedbackBatch: Sendable, Equatable {
    /// One item of a body: feedback, or why it is refused.
    enum Item: Sendable, Equatable {
        case feedback(PostedFeedback)
        case refused(FeedbackResult, String)
    }

    package static let bodyBytesMax = 1 << 20
    package static let itemsMax = 10_000

    var items: [Item]
}

/// Why a body as a whole is refused.
package struct FeedbackProblem: Error, Equatable {
    package var status: Int
    package var sentence: String
}

extension FeedbackBatch {
    static let example = #"{"id": "<x-weir-id>", "metric": "clicks", "value": 1}"#

    /// Reads a body.
    /// - Parameter isLines: one JSON object per line (application/x-ndjson) instead of a JSON text.
    package init(_ body: [UInt8], isLines: Bool, key: (UInt64, UInt64)) throws(FeedbackProblem) {
        items = []
        if isLines {
            for line in body.split(separator: UInt8(ascii: "\n")) where !Self.isBlank(line) {
                try append(line, key)
            }
        } else {
            let value: JSON
            do throws(ScanProblem) {
                value = try JSON(parsing: body)
            } catch {
                throw FeedbackProblem(status: 400, sentence: "the body is \(error)")
            }
            guard case .array(let elements) = value else {
                items = [Self.item(value, key)]
                return
            }
            guard elements.count <= Self.itemsMax else { throw Self.tooMany }
            items = elements.map { Self.item($0, key) }
        }
        if items.isEmpty {
            throw FeedbackProblem(
                status: 400, sentence: "the body has no feedback; an item is \(Self.example)")
        }
    }

    private mutating func append(_ line: ArraySlice<UInt8>, _ key: (UInt64, UInt64)) throws(FeedbackProblem) {
        guard items.count < Self.itemsMax else { throw Self.tooMany }
        do throws(ScanProblem) {
            items.append(Self.item(try JSON(parsing: line), key))
        } catch {
            items.append(.refused(.malformed, "the line is \(error)"))
        }
    }

    private static let tooMany = FeedbackProblem(
        status: 413, sentence: "a request may carry \(itemsMax) items; send the rest in the next one")

    package static func isBlank(_ line: ArraySlice<UInt8>) -> Bool {
        line.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
    }

    private static func item(_ value: JSON, _ key: (UInt64, UInt64)) -> Item {
        guard case .object(let members) = value else {
            return .refused(.malformed, "an item is an object such as \(example)")
        }
        let known = ["id", "metric", "value", "time"]
        if let unknown = members.first(where: { !known.contains($0.name) }) {
            return .refused(
                .malformed,
                "unknown member \(JSON.string(String(unknown.name.prefix(64))).text); known are id, metric, "
                    + "value, time")
        }
        guard let text = value["id"]?.string else {
            return .refused(.malformed, "id must be the text of an x-weir-id header")
        }
        guard let metric = value["metric"]?.string, isMetric(metric) else {
            return .refused(
                .malformed, "metric must be a name of letters, digits and . _ -, at most 64")
        }
        guard let number = value["value"].flatMap(number) else {
            return .refused(.malformed, "value must be a number, true or false")
        }
        var wallMicros: UInt64?
        if let time = value["time"], time != .null {
            wallMicros = micros(time)
            guard wallMicros != nil else {
                return .refused(
                    .malformed, "time must be RFC 3339 with its offset, or milliseconds since 1970")
            }
        }
        guard let id = ExchangeID(text: text, key: key) else {
            return .refused(.forged, "the id was not made by this Weir")
        }
        return .feedback(PostedFeedback(id: id, metric: metric, value: number, wallMicros: wallMicros))
    }

    /// Whether a text can be the name of a metric.
    static func isMetric(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                    || $0 == 0x2E || $0 == 0x5F || $0 == 0x2D
            }
    }

    private static func number(_ value: JSON) -> Double? {
        if let flag = value.bool { return flag ? 1 : 0 }
        return value.number
    }

    private static func micros(_ time: JSON) -> UInt64? {
        if let text = time.string { return Timestamp.wallMicros(text) }
        guard let millis = time.number, millis >= 0, millis < 1e14 else { return nil }
        return UInt64(millis * 1_000)
    }
}
