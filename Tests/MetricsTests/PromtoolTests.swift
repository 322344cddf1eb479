// Prometheus' own tool on pages of ours: `check metrics` parses and lints the text format, and
// `tsdb create-blocks-from openmetrics` runs the parser that Prometheus scrapes OpenMetrics with.
// Both are of the Debian package `prometheus`; without it these tests do not run.

import Foundation
import Metrics
import Testing

private let promtool = "/usr/bin/promtool"

@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: promtool), "promtool is not installed"))
struct PromtoolTests {
    @Test("promtool finds nothing to say about the Prometheus text")
    func text() throws {
        let (status, output) = try run(["check", "metrics"], input: ExpositionTests.page(.prometheusText))
        #expect(status == 0, "\(output)")
    }

    /// `check metrics` knows the text format alone: to it an OpenMetrics counter's samples have another name
    /// than its help. That must be all it finds.
    @Test("promtool finds in OpenMetrics only that a counter's family is named without its suffix")
    func openMetricsLint() throws {
        let (_, output) = try run(["check", "metrics"], input: ExpositionTests.page(.openMetrics))
        #expect(output == "weir_requests_total no help text\n")
    }

    @Test("Prometheus' parser of OpenMetrics takes the page whole")
    func openMetricsParse() throws {
        // Blocks need time stamps, which a scraped page leaves to the scraper.
        let page =
            ExpositionTests.page(.openMetrics).split(separator: "\n")
            .map { $0.hasPrefix("#") ? String($0) : $0 + " 1700000000" }.joined(separator: "\n") + "\n"
        let folder = FileManager.default.temporaryDirectory.appending(path: "weir-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "page.txt")
        try Data(page.utf8).write(to: file)
        let (status, output) = try run(
            ["tsdb", "create-blocks-from", "openmetrics", file.path, folder.path], input: "")
        #expect(status == 0, "\(output)")
    }

    private func run(_ arguments: [String], input: String) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: promtool)
        process.arguments = arguments
        let stdin = Pipe()
        let output = Pipe()
        process.standardInput = stdin
        process.standardOutput = output
        process.standardError = output
        try process.run()
        // A page of some kilobytes fits into the pipe, so writing first cannot block.
        try stdin.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try stdin.fileHandleForWriting.close()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }
}
