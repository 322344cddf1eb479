// The replies of an embedded model server, built once: sending one is one system call on ready bytes.
// Invariant: each text is a whole message with its length, so that a connection can carry the next one.
// Source: Open Inference Protocol (V2) for the shape of the body.

/// Ready bytes of every reply that a server gives.
struct Replies: Sendable {
    enum Kind: UInt8 {
        case inference
        case failure
        case health
        case badRequest
    }

    private let texts: [[UInt8]]

    /// The inference reply's body is about 1 KB.
    init(model: String, version: String) {
        let scores = (0..<96).map { "0.\((($0 &* 7919) % 900_000) &+ 100_000)" }.joined(separator: ",")
        let inference = """
            {"model_name":"\(model)","model_version":"\(version)","id":"demo",\
            "outputs":[{"name":"scores","shape":[1,96],"datatype":"FP32","data":[\(scores)]}]}
            """
        let failure = #"{"error":"CUDA error: device-side assert triggered"}"#
        texts = [
            Self.message("200 OK", inference),
            Self.message("500 Internal Server Error", failure),
            Self.message("200 OK", #"{"ready":true}"#),
            Self.message("400 Bad Request", #"{"error":"not HTTP"}"#),
        ]
    }

    private static func message(_ status: String, _ body: String) -> [UInt8] {
        let head = "HTTP/1.1 \(status)\r\ncontent-type: application/json\r\n"
        return Array("\(head)content-length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
    }

    subscript(_ kind: Kind) -> [UInt8] { texts[Int(kind.rawValue)] }
}
