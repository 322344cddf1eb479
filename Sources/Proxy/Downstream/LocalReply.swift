// What Weir answers by itself, as one table: status, reason, and the cause under which it is counted.
// Refusals of Wire's validator carry a status and a label of their own. Invariant: reasons are snake_case
// words without anything that JSON would escape.

import Metrics
import Wire

/// A reply of our own.
enum LocalReply: UInt8 {
    case incompleteHead
    case headerTimeout
    case bodyTooSlow
    case noModelMatches
    /// The head with what the version's rewrite adds.
    case headTooLarge
    case noVersion
    case noEndpoint
    case overloaded
    case queueTimeout
    case exchangesExhausted
    case upstreamsExhausted
    case buffersExhausted
    case connectFailed
    case connectTimeout
    case firstByteTimeout
    case idleTimeout
    case upstreamReset
    case upstreamProtocolError
    case responseHeadTooLarge
    /// The drain's deadline has come before the answer.
    case draining

    var status: UInt16 {
        switch self {
        case .incompleteHead: 400
        case .noModelMatches: 404
        case .headerTimeout, .bodyTooSlow: 408
        case .headTooLarge: 431
        case .connectFailed, .upstreamReset, .upstreamProtocolError, .responseHeadTooLarge: 502
        case .noVersion, .noEndpoint, .overloaded, .queueTimeout, .exchangesExhausted, .upstreamsExhausted,
            .buffersExhausted, .draining:
            503
        case .connectTimeout, .firstByteTimeout, .idleTimeout: 504
        }
    }

    var reason: StaticString {
        switch self {
        case .incompleteHead: "incomplete_head"
        case .headerTimeout: "header_timeout"
        case .bodyTooSlow: "body_too_slow"
        case .noModelMatches: "no_model_matches"
        case .headTooLarge: "rewritten_head_too_large"
        case .noVersion: "no_version"
        case .noEndpoint: "no_endpoint"
        case .overloaded: "overloaded"
        case .queueTimeout: "queue_timeout"
        case .exchangesExhausted: "exchanges_exhausted"
        case .upstreamsExhausted: "upstream_connections_exhausted"
        case .buffersExhausted: "buffers_exhausted"
        case .connectFailed: "upstream_connect_failed"
        case .connectTimeout: "upstream_connect_timeout"
        case .firstByteTimeout: "upstream_first_byte_timeout"
        case .idleTimeout: "upstream_idle_timeout"
        case .upstreamReset: "upstream_reset"
        case .upstreamProtocolError: "upstream_protocol_error"
        case .responseHeadTooLarge: "response_head_too_large"
        case .draining: "draining"
        }
    }

    var cause: Metrics.RefusalCause {
        switch self {
        case .incompleteHead: .malformed
        case .headerTimeout: .headerTimeout
        case .bodyTooSlow: .bodyTimeout
        case .noModelMatches: .noModel
        case .headTooLarge: .headTooLarge
        case .noVersion, .noEndpoint: .noEndpoint
        case .overloaded, .queueTimeout: .overloaded
        case .exchangesExhausted: .exchangesExhausted
        case .upstreamsExhausted: .upstreamsExhausted
        case .buffersExhausted: .buffersExhausted
        case .draining: .draining
        case .connectFailed, .upstreamReset, .upstreamProtocolError, .responseHeadTooLarge: .badUpstream
        case .connectTimeout, .firstByteTimeout, .idleTimeout: .upstreamTimeout
        }
    }
}

extension Refusal {
    /// What a response that the validator refused counts as. Either is its version's failure, for stable and
    /// candidate alike: the user did not get an answer that another version may have given within bounds.
    var outcome: Outcome {
        cause.exceedsHeadBounds ? .responseHeadTooLarge : .protocolError
    }

    /// The cause under which a refused message is counted.
    var countedCause: Metrics.RefusalCause {
        switch status {
        case 413: .bodyTooLarge
        case 414: .targetTooLong
        case 431: .headTooLarge
        case 405, 501: .notImplemented
        case 505: .version
        default: .malformed
        }
    }
}
