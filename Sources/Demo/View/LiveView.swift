// The live view on a terminal: the same lines redrawn in place, a few times a second, with plain ANSI
// sequences. A frame is a function of the sample; only `redraw` knows what was drawn before.
// Invariant: no line is wider than the terminal, or the cursor would not find the frame's start again.
// Source: ECMA-48 (CSI F, CSI J, SGR), DECTCEM for the cursor.

import Platform

/// Draws samples over each other.
struct LiveView {
    let scenario: Scenario
    let rate: Double
    let columns: Int
    let usesColor: Bool
    private var drawnLines = 0

    /// - Parameter columns: of the terminal, at least 40 are used.
    init(scenario: Scenario, rate: Double, columns: Int, usesColor: Bool) {
        self.scenario = scenario
        self.rate = rate
        self.columns = max(40, columns)
        self.usesColor = usesColor
    }

    /// Sequences that hide the cursor while frames are drawn, and give it back.
    static let hideCursor = "\u{1B}[?25l"
    static let showCursor = "\u{1B}[?25h"

    /// The text that replaces the last frame by this one.
    mutating func redraw(_ sample: Sample, _ events: [DemoEvent]) -> String {
        let lines = frame(sample, events)
        let back = drawnLines > 0 ? "\u{1B}[\(drawnLines)F\u{1B}[J" : ""
        drawnLines = lines.count
        return back + lines.joined(separator: "\n") + "\n"
    }

    /// The lines of one frame.
    func frame(_ sample: Sample, _ events: [DemoEvent]) -> [String] {
        var lines = [
            styled(
                .bold,
                "weir demo  \(scenario.rawValue)  \(Figures.seconds(sample.elapsed))  "
                    + "\(Figures.grouped(UInt64(rate))) requests/s"), "",
        ]
        lines.append(
            styled(
                .faint,
                Figures.left("version", 10) + Figures.left("role", 11) + Figures.left("weight", 30)
                    + Figures.right("requests/s", 11) + Figures.right("p50", 10)
                    + Figures.right("p99", 10) + Figures.right("errors", 9)))
        lines += sample.versions.map(line)
        lines.append("")
        lines.append(
            styled(.faint, Figures.left("guardrail", 34) + Figures.left("way to a trip", 29) + "what it saw"))
        lines += sample.guardrails.map(line)
        lines.append("")
        let users =
            "users made \(Figures.grouped(sample.requests)) requests and saw "
            + "\(Figures.grouped(sample.userErrors)) errors"
        let alone = sample.errorsOfStableAlone
        let than = alone > 0 ? "; with stable alone it would be about \(Figures.grouped(alone))" : ""
        lines.append(styled(sample.userErrors > alone ? .red : .green, users + than))
        lines += events.suffix(6).map {
            styled(.plain, "\(Figures.right(Figures.seconds($0.at), 8))  \($0.text)")
        }
        return lines
    }

    private func line(_ version: Sample.VersionLine) -> String {
        let share = Double(version.weightPPM) / 1e6
        let text =
            Figures.left(version.name, 10) + Figures.left(version.role, 11)
            + Figures.right(Figures.percent(share), 7) + " " + Figures.bar(share, width: 20) + "  "
            + Figures.right(Figures.fixed(version.perSecond, decimals: 0), 11)
            + Figures.right(version.p50Micros.map(Figures.micros) ?? "-", 10)
            + Figures.right(version.p99Micros.map(Figures.micros) ?? "-", 10)
            + Figures.right(version.errorShare.map(Figures.percent) ?? "-", 9)
        return styled((version.errorShare ?? 0) > 0.02 ? .red : .plain, text)
    }

    private func line(_ guardrail: Sample.GuardrailLine) -> String {
        let style: Style =
            guardrail.progress >= 1 ? .red : guardrail.progress >= 0.5 ? .yellow : .plain
        return styled(
            style,
            Figures.left(guardrail.name, 33) + " " + Figures.bar(guardrail.progress, width: 20) + " "
                + Figures.right(Figures.fixed(guardrail.progress * 100, decimals: 0) + " %", 6) + "  "
                + guardrail.reason)
    }

    private enum Style: String {
        case plain = ""
        case bold = "1"
        case faint = "2"
        case red = "31"
        case green = "32"
        case yellow = "33"
    }

    /// A line cut to the terminal's width, in a style where colours are welcome.
    private func styled(_ style: Style, _ text: String) -> String {
        let cut = text.count > columns ? Figures.left(text, columns) : text
        guard usesColor, style != .plain else { return cut }
        return "\u{1B}[\(style.rawValue)m\(cut)\u{1B}[0m"
    }
}
