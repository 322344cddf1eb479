// `weir feedback`: what users did with an answer, posted under the id that the answer carried.
// Place: over `FeedbackSender`; the admin API's POST /feedback does the work.
// Invariant: exit code 0 means that every item counts.

import ArgumentParser
import Control
import Payload
import Sidecar

struct FeedbackCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "feedback",
        abstract: "Post what became of answers: a click, a purchase, a label.",
        discussion: """
            One item, or a file with one JSON object per line; - reads standard input:

              weir feedback --id 7d2c... --metric clicks --value 1
              weir feedback --file clicks.ndjson
              {"id": "<x-weir-id>", "metric": "clicks", "value": 1, "time": "2026-11-21T12:00:00Z"}

            Responses carry the id with `response_headers: { id: true }`. Feedback that was posted before \
            counts once, so a file can be sent again. Exit code 1 when any was refused.
            """)

    @Option(help: ArgumentHelp("The x-weir-id of the response.", valueName: "id")) var id: String?
    @Option(help: "The metric's name.") var metric: String?
    @Option(help: "A number, true or false.") var value: String?
    @Option(
        help: ArgumentHelp("When it happened: RFC 3339, or milliseconds since 1970 (default: now)."))
    var time: String?
    @Option(help: ArgumentHelp("Feedback as JSON Lines; - is standard input.", valueName: "path"))
    var file: String?
    @OptionGroup var admin: AdminOption
    @Option(help: "How the answer is written: text or json.") var output = OutputFormat.text

    func validate() throws {
        let one = [id, metric, value].compactMap { $0 }
        if file != nil, !one.isEmpty || time != nil {
            throw ValidationError("--file has everything in it; leave out --id, --metric, --value and --time")
        }
        if file == nil, one.count < 3 {
            throw ValidationError("feedback needs --id, --metric and --value; or name a --file")
        }
        if let value, Bool(value) == nil, !(Double(value)?.isFinite ?? false) {
            throw ValidationError("--value: '\(value)' is neither a number nor true or false")
        }
    }

    func run() throws {
        var sender = FeedbackSender(try admin.client())
        let receipt: FeedbackReceipt
        if let file {
            do {
                receipt = try sender.send(file: file == "-" ? "/dev/stdin" : file)
            } catch {
                Output.error("the feedback cannot be read: \(error)")
                throw ExitCode(1)
            }
        } else {
            receipt = sender.send(id: id ?? "", metric: metric ?? "", value: value ?? "", time: time)
        }
        switch output {
        case .json: Output.json(receipt.json)
        case .text: Output.text(receipt.summary + "\n")
        }
        for complaint in receipt.complaints { Output.error(complaint) }
        if !receipt.isComplete { throw ExitCode(1) }
    }
}
