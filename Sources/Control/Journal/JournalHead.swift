// `journal.head`: the number and hash of the last durable line, so that a tail cut off can be told from a
// tail never written. Written after the line is durable, hence never ahead of an honest journal.
// Place: the start and `weir audit verify` read it here and have it judged here, so that they never disagree.
// Invariant: whatever bytes are there, a number that is taken from them leaves room for the lines to come.

import Payload
import Platform

/// The number of a journal line.
enum JournalNumber {
    /// The largest that a line may carry: below 2^53, so that every reader of JSON has it exactly.
    static let lineMax: UInt64 = 1 << 53
    /// The largest that a head or a state may name.
    static let rememberedMax: UInt64 = 1 << 52
    /// The largest that numbers go on after where the head alone knows it: heads and states of the lines that
    /// are written then are within `rememberedMax`.
    static let aheadMax: UInt64 = 1 << 51

    /// The number in a line; nil when it is none.
    static func line(_ value: JSON?) -> UInt64? { number(value, 1...lineMax) }

    static func number(_ value: JSON?, _ range: ClosedRange<UInt64>) -> UInt64? {
        guard let number = value?.integer.flatMap(UInt64.init(exactly:)), range.contains(number) else {
            return nil
        }
        return number
    }
}

/// The last durable line, as it is remembered beside the journal.
struct JournalHead: Equatable {
    var lines: UInt64
    var hash: ChainHash

    init(lines: UInt64, hash: ChainHash) {
        self.lines = lines
        self.hash = hash
    }

    /// nil when the bytes are not a head (torn, or of another format).
    init?(bytes: [UInt8]) {
        guard let value = try? JSON(parsing: bytes),
            let lines = JournalNumber.number(value["lines"], 0...JournalNumber.rememberedMax),
            let hash = value["hash"]?.string, ChainHash.isHash(hash)
        else { return nil }
        self.init(lines: lines, hash: ChainHash(hex: hash))
    }

    /// Always the same length, so that a rewrite in place leaves no rest.
    var bytes: [UInt8] {
        let text = JSON.object([
            .init("lines", .count(lines)), .init("hash", .string(hash.hex)),
        ]).text
        return Array((text + String(repeating: " ", count: max(0, 120 - text.utf8.count)) + "\n").utf8)
    }

    static let bytesMax = 4 << 10
}

/// What is in the place of `journal.head`.
enum HeadReading: Equatable {
    /// A journal that has just begun, or of a release that kept none.
    case missing
    case head(JournalHead)
    /// Something that says nothing of a last line; why.
    case unreadable(String)

    init(bytes: [UInt8]?) {
        guard let bytes else {
            self = .missing
            return
        }
        self =
            JournalHead(bytes: bytes).map(HeadReading.head)
            ?? .unreadable(
                "it is not the record of a last line (a JSON object with lines, at most "
                    + "\(JournalNumber.rememberedMax), and hash)")
    }

    /// - Throws: when it is something that Weir never made (a link, a directory, another user's file):
    ///   whoever could put that there could replace the journal as well.
    init(_ storage: any JournalStorage) throws(SystemFailure) {
        do throws(SystemFailure) {
            self.init(bytes: try storage.readHead())
        } catch {
            guard error.errno != .isLink, error.errno != .notPermitted else { throw error }
            self = .unreadable("\(error)")
        }
    }

    var head: JournalHead? { if case .head(let head) = self { head } else { nil } }

    /// What it says of a journal.
    /// - Parameters:
    ///   - last: the number of the journal's last line; 0: it has none.
    ///   - hash: of the line of a number; nil when there is no such line.
    func verdict<E: Error>(
        last: UInt64, hash: (UInt64) throws(E) -> ChainHash?
    ) throws(E) -> HeadVerdict {
        switch self {
        case .missing: return .vouches
        case .unreadable(let why): return .unreadable(why)
        case .head(let head):
            if head.lines > last {
                guard head.lines <= JournalNumber.aheadMax else {
                    return .unreadable(
                        "it remembers \(head.lines) lines, there are \(last), and what is missing is not "
                            + "believed beyond \(JournalNumber.aheadMax)")
                }
                return .missing(remembered: head.lines)
            }
            guard head.lines > 0, let found = try hash(head.lines), found != head.hash else {
                return .vouches
            }
            return .altered(line: head.lines)
        }
    }
}

/// What `journal.head` says of a journal.
enum HeadVerdict: Equatable {
    /// Nothing against it. A head that is behind, as a crash may leave it, names a line that is as it was.
    case vouches
    /// Nothing at all, so that nobody knows whether the journal's end is there; why.
    case unreadable(String)
    /// Lines are gone from the journal's end.
    case missing(remembered: UInt64)
    /// That line is another one than it was; or the head is.
    case altered(line: UInt64)
}
