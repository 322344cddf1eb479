// The replies of an embedded model server, built once: sending one is one system call on ready bytes. A
// server whose scores vary has an inference reply for every score.
// Invariant: each text is a whole message with its length, so that a connection can carry the next one.
// Source: Open Inference Protocol (V2) for the shape of the body.

/// Ready bytes of every reply that a server gives.
struct Replies: Sendable {
    /// Which reply: a place in the list of texts.
    struct Index: Hashable {
        let number: Int

        static let failure = Index(number: 0)
        static let health = Index(number: 1)
        static let badRequest = Index(number: 2)
        /// The answer with the `level`-th score, from 0.
        static func inference(_ level: Int) -> Index { Index(number: 3 + level) }
    }

    let texts: [[UInt8]]

    /// The inference reply's body is about 1 KB.
    /// - Parameter scoreLevels: how many scores there are, evenly from 0.1 to 0.9; 1: the first score is 0.1.
    init(model: String, version: String, scoreLevels: Int = 1) {
        let scores = (1..<96).map { "0.\((($0 &* 7919) % 900_000) &+ 100_000)" }.joined(separator: ",")
        let failure = #"{"error":"CUDA error: device-side assert triggered"}"#
        let inferences = (0..<scoreLevels).map { level in
            let first = "0.\(100_000 + 800_000 * level / max(1, scoreLevels - 1))"
            let body = """
                {"model_name":"\(model)","model_version":"\(version)","id":"demo",\
                "outputs":[{"name":"scores","shape":[1,96],"datatype":"FP32","data":[\(first),\(scores)]}]}
                """
            return Self.message("200 OK", body)
        }
        texts =
            [
                Self.message("500 Internal Server Error", failure),
                Self.message("200 OK", #"{"ready":true}"#),
                Self.message("400 Bad Request", #"{"error":"not HTTP"}"#),
            ] + inferences
    }

    private static func message(_ status: String, _ body: String) -> [UInt8] {
        let head = "HTTP/1.1 \(status)\r\ncontent-type: application/json\r\n"
        return Array("\(head)content-length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
    }

    subscript(_ index: Index) -> [UInt8] { texts[index.number] }
}
