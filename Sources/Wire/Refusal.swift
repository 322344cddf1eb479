// Why a message was refused, and the status that says so.
//
// Place: the third way out of every parser in Wire. Proxy answers with the status, closes, counts the label.
// Invariant: a refused connection is never read again: where a message ends is no longer known.
// Source: RFC 9112 (400 unless another is named there), RFC 9110 section 15.5, RFC 6585 section 5 (431).

/// Which side sent a message, and so who is told when it is refused.
@frozen public enum MessageKind: UInt8, Sendable {
    /// From a client: refused with a status of its own.
    case request
    /// From an upstream: refused with 502.
    case response
}

/// A message that was refused.
@frozen public struct Refusal: Equatable, Sendable {
    /// 400, 405, 413, 414, 417, 431, 501 or 505 for a request; 502 for a response.
    public var status: UInt16
    public var cause: RefusalCause

    init(_ cause: RefusalCause, in kind: MessageKind) {
        self.cause = cause
        status = kind == .response ? 502 : cause.requestStatus
    }
}

/// What was wrong with a message.
@frozen public enum RefusalCause: UInt8, Sendable, CaseIterable {
    case requestLine, methodSyntax, methodTooLong, connectMethod, traceMethod, targetSyntax, targetForm,
        targetTooLong
    case authoritySyntax, versionSyntax, versionUnsupported, leadingEmptyLines
    case statusLine, statusCode, switchingProtocols
    case bareLF, bareCR, controlByte, lineFolding
    case fieldName, fieldNameEmpty, fieldNameAmbiguous, spaceBeforeColon, colonMissing
    case fieldLineTooLong, headTooLong, fieldsTooMany
    case hostMissing, hostRepeated
    case contentLengthSyntax, contentLengthRepeated, contentLengthTooLarge
    case transferEncodingSyntax, transferEncodingRepeated, transferEncodingUnsupported
    case transferEncodingNotChunked, transferEncodingInHTTP10, contentLengthAndTransferEncoding
    case connectionSyntax, connectionOptionsTooMany, connectionNamesFraming
    case expectation
    case chunkSize, chunkSizeTooLarge, chunkExtension, chunkExtensionsTooLong, chunkEnd, trailerField

    /// The cause in snake_case, for log lines, metric labels and the body of the reply.
    public var label: StaticString {
        switch self {
        case .requestLine: "request_line"
        case .methodSyntax: "method_syntax"
        case .methodTooLong: "method_too_long"
        case .connectMethod: "connect_method"
        case .traceMethod: "trace_method"
        case .targetSyntax: "target_syntax"
        case .targetForm: "target_form"
        case .targetTooLong: "target_too_long"
        case .authoritySyntax: "authority_syntax"
        case .versionSyntax: "version_syntax"
        case .versionUnsupported: "version_unsupported"
        case .leadingEmptyLines: "leading_empty_lines"
        case .statusLine: "status_line"
        case .statusCode: "status_code"
        case .switchingProtocols: "switching_protocols"
        case .bareLF: "bare_lf"
        case .bareCR: "bare_cr"
        case .controlByte: "control_byte"
        case .lineFolding: "line_folding"
        case .fieldName: "field_name"
        case .fieldNameEmpty: "field_name_empty"
        case .fieldNameAmbiguous: "field_name_ambiguous"
        case .spaceBeforeColon: "space_before_colon"
        case .colonMissing: "colon_missing"
        case .fieldLineTooLong: "field_line_too_long"
        case .headTooLong: "head_too_long"
        case .fieldsTooMany: "fields_too_many"
        case .hostMissing: "host_missing"
        case .hostRepeated: "host_repeated"
        case .contentLengthSyntax: "content_length_syntax"
        case .contentLengthRepeated: "content_length_repeated"
        case .contentLengthTooLarge: "content_length_too_large"
        case .transferEncodingSyntax: "transfer_encoding_syntax"
        case .transferEncodingRepeated: "transfer_encoding_repeated"
        case .transferEncodingUnsupported: "transfer_encoding_unsupported"
        case .transferEncodingNotChunked: "transfer_encoding_not_chunked"
        case .transferEncodingInHTTP10: "transfer_encoding_in_http_1_0"
        case .contentLengthAndTransferEncoding: "content_length_and_transfer_encoding"
        case .connectionSyntax: "connection_syntax"
        case .connectionOptionsTooMany: "connection_options_too_many"
        case .connectionNamesFraming: "connection_names_framing"
        case .expectation: "expectation"
        case .chunkSize: "chunk_size"
        case .chunkSizeTooLarge: "chunk_size_too_large"
        case .chunkExtension: "chunk_extension"
        case .chunkExtensionsTooLong: "chunk_extensions_too_long"
        case .chunkEnd: "chunk_end"
        case .trailerField: "trailer_field"
        }
    }

    /// Whether a head, or a trailer section, is over the bounds that its reader was given.
    public var exceedsHeadBounds: Bool {
        switch self {
        case .fieldLineTooLong, .headTooLong, .fieldsTooMany: true
        default: false
        }
    }

    /// The status of the answer where a client sent the message.
    var requestStatus: UInt16 {
        switch self {
        case .traceMethod: 405
        case .targetTooLong: 414
        case .fieldLineTooLong, .headTooLong, .fieldsTooMany: 431
        case .contentLengthTooLarge, .chunkSizeTooLarge: 413
        case .methodTooLong, .connectMethod, .transferEncodingUnsupported: 501
        case .versionUnsupported: 505
        case .expectation: 417
        case .requestLine, .methodSyntax, .targetSyntax, .targetForm, .authoritySyntax, .versionSyntax,
            .leadingEmptyLines, .statusLine, .statusCode, .switchingProtocols, .bareLF, .bareCR,
            .controlByte, .lineFolding, .fieldName, .fieldNameEmpty, .fieldNameAmbiguous, .spaceBeforeColon,
            .colonMissing, .hostMissing, .hostRepeated, .contentLengthSyntax, .contentLengthRepeated,
            .transferEncodingSyntax, .transferEncodingRepeated, .transferEncodingNotChunked,
            .transferEncodingInHTTP10, .contentLengthAndTransferEncoding, .connectionSyntax,
            .connectionOptionsTooMany, .connectionNamesFraming,
            .chunkSize, .chunkExtension, .chunkExtensionsTooLong, .chunkEnd, .trailerField:
            400
        }
    }
}
