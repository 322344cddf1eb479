// The client's side of one TLS session, between two memory buffers: it owns no socket and waits for nothing.
// The server must prove with a certificate of a trusted authority that it is the host that was asked for.
// Invariant: no application byte is given or taken before that proof. OpenSSL's error queue belongs to the
// thread and is emptied before each call, so an old error is never told as a new one.
// Source: RFC 8446, RFC 9110 section 4.3.4; SSL_get_error(3), BIO_s_mem(3).

import COpenSSL
import Platform

/// Why a session does not stand; a clause that follows the server's name.
struct TLSProblem: Error, Equatable {
    var reason: String
}

/// What a step of the handshake came to.
enum TLSHandshake: Equatable {
    case done
    /// Hand over output, bring input, try again.
    case wantsBytes
    case failed(TLSProblem)
}

/// What a read came to.
enum TLSRead: Equatable {
    case bytes([UInt8])
    /// Hand over output, bring input, try again.
    case wantsBytes
    /// The server has ended the session.
    case end
    case failed(TLSProblem)
}

/// A TLS session. Owner: the connection that pumps it.
struct TLSSession: ~Copyable {
    private let context: OpaquePointer
    private let session: OpaquePointer
    /// From the server; owned by the session.
    private let input: OpaquePointer
    /// To the server; owned by the session.
    private let output: OpaquePointer

    /// - Parameters:
    ///   - host: a name or an IP address, as in the URL.
    ///   - caFile: PEM file of the authorities to trust; nil: the system's store.
    init(host: String, caFile: String?) throws(TLSProblem) {
        (context, session, input, output) = try Self.open(host, caFile)
    }

    private static func open(
        _ host: String, _ caFile: String?
    ) throws(TLSProblem) -> (OpaquePointer, OpaquePointer, OpaquePointer, OpaquePointer) {
        ERR_clear_error()
        guard let context = weir_tls_client_context() else { throw TLSProblem(reason: noMemory) }
        let loaded =
            if let caFile {
                isFile(caFile) ? SSL_CTX_load_verify_file(context, caFile) : 0
            } else {
                SSL_CTX_set_default_verify_paths(context)
            }
        guard loaded == 1 else {
            SSL_CTX_free(context)
            let what = caFile.map { "the CA file \($0)" } ?? "the system's certificates"
            throw TLSProblem(
                reason: "was not called: \(what) cannot be read as PEM certificates (\(queued))")
        }
        guard let session = SSL_new(context) else {
            SSL_CTX_free(context)
            throw TLSProblem(reason: noMemory)
        }
        guard let input = weir_tls_memory(), let output = weir_tls_memory() else {
            preconditionFailure("no memory for two empty buffers")
        }
        SSL_set_bio(session, input, output)
        SSL_set_connect_state(session)
        weir_tls_offer_http1(session)
        guard weir_tls_expect(session, host, IPAddress(host) == nil ? 0 : 1) == 1 else {
            SSL_free(session)
            SSL_CTX_free(context)
            throw TLSProblem(reason: "was not called: \(host) is no name that a certificate can prove")
        }
        return (context, session, input, output)
    }

    /// Whether OpenSSL, which waits for a pipe's writer, may open it.
    private static func isFile(_ path: String) -> Bool {
        do throws(SystemFailure) {
            _ = try File.openRegular(path)
            return true
        } catch {
            // What is wrong with a path OpenSSL says itself.
            return error.errno != .notPermitted
        }
    }

    deinit {
        SSL_free(session)
        SSL_CTX_free(context)
    }

    private static let noMemory = "was not called: no memory for a TLS session"

    mutating func handshake() -> TLSHandshake {
        ERR_clear_error()
        let result = SSL_do_handshake(session)
        if result == 1 { return .done }
        return wantsBytes(after: result) ? .wantsBytes : .failed(problem("the TLS handshake failed"))
    }

    /// Plain bytes from the server.
    mutating func read() -> TLSRead {
        var piece = [UInt8](repeating: 0, count: 16 << 10)
        ERR_clear_error()
        let count = SSL_read(session, &piece, Int32(piece.count))
        if count > 0 { return .bytes(Array(piece[..<Int(count)])) }
        if wantsBytes(after: count) { return .wantsBytes }
        if SSL_get_error(session, count) == SSL_ERROR_ZERO_RETURN { return .end }
        return .failed(problem("its TLS session broke"))
    }

    /// Encrypts plain bytes into the output; false when the session is broken.
    mutating func write(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            ERR_clear_error()
            let count = rest.withUnsafeBytes { piece in
                SSL_write(session, piece.baseAddress, Int32(clamping: piece.count))
            }
            // Memory takes everything: there is nothing to wait for.
            guard count > 0 else { return false }
            rest = rest.dropFirst(Int(count))
        }
        return true
    }

    /// Encrypted bytes for the server; nil when none wait.
    mutating func takeOutput() -> [UInt8]? {
        let waiting = weir_tls_pending(output)
        guard waiting > 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: min(waiting, 64 << 10))
        let count = BIO_read(output, &bytes, Int32(bytes.count))
        return count > 0 ? Array(bytes[..<Int(count)]) : nil
    }

    /// Encrypted bytes from the server.
    mutating func putInput(_ bytes: [UInt8]) {
        let count = BIO_write(input, bytes, Int32(bytes.count))
        precondition(Int(count) == bytes.count, "a memory BIO takes what there is memory for")
    }

    private func wantsBytes(after result: Int32) -> Bool {
        let error = SSL_get_error(session, result)
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE
    }

    private func problem(_ what: String) -> TLSProblem {
        let verdict = SSL_get_verify_result(session)
        guard verdict == Int(X509_V_OK) else {
            let reason = String(cString: X509_verify_cert_error_string(verdict))
            return TLSProblem(reason: "has a certificate that does not prove who it is: \(reason)")
        }
        return TLSProblem(reason: "is not spoken to: \(what) (\(Self.queued))")
    }

    /// OpenSSL's reason for the last failure, in its words.
    private static var queued: String {
        let code = ERR_peek_error()
        guard code != 0 else { return "no reason given" }
        if let text = ERR_reason_error_string(code) { return String(cString: text) }
        return "error \(code)"
    }
}
