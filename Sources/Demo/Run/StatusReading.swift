// From Weir's status page to what the demo shows. The page is the one that /status gives, so the demo shows
// nothing that an operator could not see.
// Invariant: a field that is missing or null becomes nil or zero, never a trap.

import Control
import Payload
import Platform

/// What the demo reads of a status page.
struct StatusReading {
    var versions: [Sample.VersionLine]
    var guardrails: [Sample.GuardrailLine]
    /// The last cut, if there was one.
    var cut: Cut?
    /// What became of stable after the cut, once it is known.
    var recovery: Recovery?
    /// The rollout's stage, and what it waits for; nil without one.
    var stage: String?
    var isPromoted = false

    struct Cut: Hashable {
        /// RFC 3339 with microseconds.
        var at: String
        var guardrail: String?
        var reason: String
    }

    struct Recovery: Hashable {
        var verdict: String
        var reason: String
    }

    init(_ page: JSON) {
        let model = page["models"]?[0] ?? .null
        let versionPages = model["versions"]?.elements ?? []
        versions = versionPages.map(Self.version)
        let watched = versionPages.flatMap { $0["guardrails"]?.elements ?? [] }
        // After a cut nobody is watched; what is worth showing then is what the guardrails saw at the trip.
        let shown = watched.isEmpty ? model["last_cut"]?["evidence"]?.elements ?? [] : watched
        guardrails = shown.map(Self.guardrail)
        if let cut = model["last_cut"], let at = cut["at"]?.string {
            self.cut = Cut(
                at: at, guardrail: cut["guardrail"]?.string, reason: cut["reason"]?.string ?? "")
        }
        isPromoted = model["phase"]?.string == "promoted"
        if let rollout = model["rollout"], let place = rollout["place"]?.string {
            stage = rollout["stage"]?.integer.map { "stage \($0)" } ?? place
        }
        if let recovery = model["recovery"], let verdict = recovery["verdict"]?.string {
            self.recovery = Recovery(verdict: verdict, reason: recovery["reason"]?.string ?? "")
        }
    }

    private static func version(_ page: JSON) -> Sample.VersionLine {
        let live = page["live"] ?? .null
        func micros(_ name: String) -> UInt64? {
            live[name]?.number.map { UInt64(max(0, $0) * 1_000) }
        }
        return Sample.VersionLine(
            name: page["name"]?.string ?? "?", role: page["role"]?.string ?? "",
            weightPPM: UInt32(clamping: page["weight_ppm"]?.integer ?? 0),
            perSecond: live["rps"]?.number ?? 0, p50Micros: micros("p50_ms"),
            p99Micros: micros("p99_ms"), errorShare: live["error_share"]?.number)
    }

    private static func guardrail(_ page: JSON) -> Sample.GuardrailLine {
        Sample.GuardrailLine(
            name: page["name"]?.string ?? "?", progress: page["progress"]?.number ?? 0,
            verdict: page["verdict"]?.string ?? "", reason: page["reason"]?.string ?? "")
    }

    /// Microseconds from `begin` (microseconds since 1970) to an RFC 3339 text in UTC less than a day later;
    /// nil when the text is none.
    static func micros(to text: String, from begin: UInt64) -> UInt64? {
        // 2026-01-31T12:34:56.123456Z
        let bytes = Array(text.utf8)
        guard bytes.count == 27 else { return nil }
        func number(_ range: Range<Int>) -> UInt64? {
            UInt64(String(decoding: bytes[range], as: UTF8.self))
        }
        guard let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            let micros = number(20..<26)
        else { return nil }
        let day: UInt64 = 86_400_000_000
        let ofDay = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros
        return (ofDay + day - begin % day) % day
    }
}
