// What a reading says in words, as the numbers it is made of: a reading is made at every tick, and hardly any
// is ever read by a person. The sentence is made when it is asked for.
// Invariant: words are saved and compared as text; what they were made of is nobody's business.

import Metrics
import Statistics

/// The numbers behind a reading's sentence.
enum ReadingWords: Sendable {
    case text(String)
    /// The requests that decide, among those of the whole stage.
    case failures(EpochCounts, of: EpochCounts, stable: CommonCause.Word)
    /// Of another kind than failures.
    case events(BadEvent, EpochCounts, of: EpochCounts)
    /// More than `micros`, of stable `stableMicros`.
    case slowness(
        EpochCounts, of: EpochCounts, micros: UInt32, stableMicros: UInt32, stable: CommonCause.Word)
    /// Most of the candidate's requests are far slower, for seconds on end.
    case gross(EpochCounts, micros: UInt32)
    /// No good answers any more, of so many requests.
    case loss(TotalLoss, stable: CommonCause.Word)
    /// Against stable as it was; the candidate's last requests, where they decide.
    case pinned(
        EpochCounts, last: PinnedStable.Recent?, BadEvent?, limit: Double, micros: UInt32, PinnedVeto.Word?,
        isAlone: Bool)
    case quantileUnknown(Double)
    case warmingUp(Int, of: Int)
    case missing(EpochCounts)
    /// Means and counts; what lies above a cap counts as the cap.
    case means(candidate: (mean: Double?, count: Int), stable: (mean: Double?, count: Int), cap: Double?)
    case learning(Int, of: Int)
    /// The stability index between candidate and stable, over the stage and over the last values.
    case drift(
        index: Double?, bins: Int, candidate: Int, stable: Int, recent: (index: Double, count: Int)?)
    /// The stability indices from a reference.
    case driftFrom(candidate: (index: Double?, count: Int), stable: (index: Double?, count: Int))
    case noValues
    /// The share of its endpoints that pass their checks; whether its next check is still waited for, and
    /// how many of its requests found no endpoint lately.
    case health(Double?, stable: CommonCause.Word, isAsked: Bool, unsent: Int)
    indirect case traffic(ReadingWords)
    /// So much of what is posted comes in the last tenth of its window.
    indirect case late(ReadingWords, Double)

    var text: String { text(of: "candidate") }

    /// - Parameter noun: what the version is to the one that it is compared with.
    func text(of noun: String) -> String {
        switch self {
        case .text(let text): text
        case .failures(let counts, let whole, let stable):
            "\(noun) \(counts.ours(among: whole)) failed, stable \(counts.theirs)"
                + counts.beside(whole) + Self.cause(stable, of: noun)
        case .events(let event, let counts, let whole):
            "\(noun) \(counts.ours(among: whole)) \(Self.past(event)), stable \(counts.theirs)"
                + counts.beside(whole)
        case .slowness(let counts, let whole, let micros, let stableMicros, let stable):
            "\(noun) \(counts.ours(among: whole)) failed or took longer than"
                + " \(Sentence.time(micros: Double(micros))),"
                + " stable \(counts.theirs)"
                + (micros == stableMicros
                    ? "" : " longer than \(Sentence.time(micros: Double(stableMicros)))")
                + counts.beside(whole) + Self.cause(stable, of: noun)
        case .gross(let counts, let micros):
            "far slower than stable for seconds on end: \(noun) \(counts.ours) failed or took longer than"
                + " \(Sentence.time(micros: Double(micros))), stable \(counts.theirs)"
        case .loss(let loss, let stable):
            (loss.well == 0 ? "no" : "only \(Sentence.count(Int(loss.well)))")
                + " good answer\(loss.well > 1 ? "s" : "") to the \(noun)'s last"
                + " \(Sentence.count(loss.amiss + Int(loss.well))) requests:"
                + " \(Sentence.count(Int(loss.lost))) cancelled by clients that had waited longer than stable"
                + " usually takes, \(Sentence.count(Int(loss.wrong))) answered with 3xx, 4xx or an empty 2xx,"
                + " \(Sentence.count(Int(loss.failed))) failed" + Self.cause(stable, of: noun)
        case .pinned(let counts, let last, let event, let limit, let micros, let word, let isAlone):
            Self.pinned(counts, last, event, limit, micros)
                + Self.cause(word, isTrip: last != nil, isAlone: isAlone)
        case .quantileUnknown(let quantile):
            "stable's \(Sentence.quantile(quantile)) is not known yet:"
                + " it takes \(Sentence.count(Int(LatencyReference.requestsMin))) requests"
        case .warmingUp(let started, let all):
            "warming up until the \(noun) is as fast as stable, or has had"
                + " \(Sentence.count(all)) requests or ten minutes:"
                + " \(Sentence.count(started)) requests so far"
        case .missing(let counts): "\(noun) \(counts.ours) missing, stable \(counts.theirs)"
        case .means(let ours, let theirs, let cap):
            "\(noun)'s mean \(Self.number(ours.mean, of: ours.count)),"
                + " stable's \(Self.number(theirs.mean, of: theirs.count))"
                + (cap.map { ", costs above \(Sentence.value($0)) counted as that" } ?? "")
        case .learning(let count, let all):
            "stable's values are not known yet: \(Sentence.count(count)) of \(Sentence.count(all))"
        case .drift(let index, let bins, let candidate, let stable, let recent):
            "stability index \(index.map { Sentence.value($0) } ?? "unknown") over \(bins) bins,"
                + " \(noun) \(Sentence.count(candidate)) values, stable \(Sentence.count(stable))"
                + (recent.map {
                    "; \(Sentence.value($0.index)) over about the \(noun)'s last"
                        + " \(Sentence.count($0.count))"
                } ?? "")
        case .driftFrom(let ours, let theirs):
            "stability index from the reference: \(noun) \(Self.number(ours.index, of: ours.count)),"
                + " stable \(Self.number(theirs.index, of: theirs.count))"
        case .health(let share, let stable, let isAsked, let unsent):
            Self.health(share, stable, isAsked: isAsked, unsent: unsent, of: noun)
        case .noValues: "no values of the \(noun) yet"
        case .late(let words, let share):
            words.text(of: noun)
                + "; \(Sentence.percent(share)) of it came in the last tenth of the window, which is"
                + " too short: a version whose users answer later looks worse, so this rule only alerts"
        case .traffic(let words): words.text(of: noun) + "; stable shows the same, so the traffic has changed"
        }
    }

    private static func health(
        _ share: Double?, _ stable: CommonCause.Word, isAsked: Bool, unsent: Int, of noun: String
    ) -> String {
        guard let share else { return "no endpoint of the \(noun) is checked, or it gets no requests" }
        var text = "\(Sentence.percent(share)) of the \(noun)'s endpoints are healthy"
        if unsent > 0 {
            text += ", \(Sentence.count(unsent)) of its requests found none in the last 2 s"
        }
        switch stable {
        case .unasked: break
        case .fine:
            text += "; stable can be reached" + (isAsked ? "" : "; the \(noun)'s next check is waited for")
        case .common: text += "; stable's endpoints fare no better, so the \(noun) is not blamed"
        case .unknown: text += "; waiting for word of stable"
        }
        return text
    }

    private static func pinned(
        _ counts: EpochCounts, _ last: PinnedStable.Recent?, _ event: BadEvent?, _ limit: Double,
        _ micros: UInt32
    ) -> String {
        let what = event.map(past) ?? "failed or took longer than \(Sentence.time(micros: Double(micros)))"
        let all = "candidate \(counts.ours) \(what) since"
        let held = ", held to \(Sentence.percent(limit)); stable \(counts.theirs)"
        guard let last, last.requests > 0 else { return all + held }
        let share = Sentence.percent(Double(last.events) / Double(last.requests))
        return "candidate \(share) of about its last \(Sentence.count(Int(last.requests))) \(what)" + held
            + "; candidate \(counts.ours) since"
    }

    /// What stable's answers to shielded requests say.
    private static func cause(_ word: PinnedVeto.Word?, isTrip: Bool, isAlone: Bool) -> String {
        switch word {
        case .common where !isTrip:
            "; shielded requests failed at stable too, the candidate is not blamed"
        case .waiting where !isTrip: "; waiting at most ten minutes for stable's answers to shielded requests"
        case .fine where isTrip:
            "; stable answered what it was asked again, so the candidate was worse"
        case .undecided where isTrip:
            "; stable's state is unknown, its few answers to shielded requests do not tell: the model or its"
                + " traffic is worse, so this only alerts, and stands until they tell or stable has traffic"
        case .unreached where isTrip:
            "; most of what stable was asked again did not reach it, so nobody knows whether it is as bad"
        case nil, .unasked, .fine, .common, .waiting, .undecided, .unreached:
            isTrip
                ? "; the model or its traffic was worse, and stable had \(isAlone ? "no" : "too little")"
                    + " traffic then to tell which" : ""
        }
    }

    static func cause(_ stable: CommonCause.Word, of noun: String = "candidate") -> String {
        switch stable {
        case .unasked, .fine: ""
        case .common: "; common cause, the \(noun) is not blamed"
        case .unknown: "; waiting at most 10 s for stable's requests of the same moments"
        }
    }

    /// What happened to the requests.
    private static func past(_ event: BadEvent) -> String {
        switch event {
        case .failure: "failed"
        case .rejected: "answered with 3xx or 4xx"
        case .cancelled: "cancelled by their clients"
        case .empty: "answered with 2xx and no body"
        }
    }

    private static func number(_ value: Double?, of count: Int) -> String {
        "\(value.map { Sentence.value($0) } ?? "unknown") of \(Sentence.count(count))"
    }
}

extension EpochCounts {
    fileprivate var ours: String { Sentence.share(candidateEvents, of: candidateRequests) }

    /// "100.0 % of the last 14", where there were more.
    fileprivate func ours(among whole: EpochCounts) -> String {
        guard self != whole, candidateRequests > 0 else { return ours }
        let share = Sentence.percent(Double(candidateEvents) / Double(candidateRequests))
        return "\(share) of the last \(Sentence.count(candidateRequests))"
    }

    /// Everything since the weight of now, behind the part of it that decides.
    fileprivate func beside(_ whole: EpochCounts) -> String {
        guard self != whole, whole.candidateRequests > candidateRequests else { return "" }
        return "; since it has had this weight \(whole.ours)"
    }
    fileprivate var theirs: String { Sentence.share(stableEvents, of: stableRequests) }
}

extension ReadingWords: Hashable, Codable {
    init(from decoder: any Decoder) throws {
        self = .text(try decoder.singleValueContainer().decode(String.self))
    }

    func encode(to encoder: any Encoder) throws {
        var saved = encoder.singleValueContainer()
        try saved.encode(text)
    }

    static func == (a: ReadingWords, b: ReadingWords) -> Bool { a.text == b.text }

    func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
