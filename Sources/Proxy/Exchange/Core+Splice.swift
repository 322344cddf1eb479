// The rest of a long body through the kernel: socket → pipe → socket, without a copy in this process. Only
// where its length is known, nobody but the receiver wants the bytes, and what was read before has gone out.
// A pipe belongs to an exchange while it holds bytes of it; an empty one lies in the core's stock.
// Invariant: bytes in a pipe and bytes in the same receiver's output queue are never there at once, so that
// order is kept. Bound: `limits.pipesMax`; without a pipe, or where the kernel knows no splice, bodies are
// read and sent as they would be without this file.

import Metrics
import Platform
import Wire

/// A pipe of the core's stock.
struct SplicePipe: ~Copyable {
    let pipe: Pipe
    /// Bytes in it.
    var held = 0
    /// Next in the stock of empty ones.
    var nextIdle = Slot<SplicePipe>.none
}

extension Core {
    /// Whether the client has yet to take bytes of the response.
    func owesClient(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        exchange.pointee.responsePipe != .none
            || !downstreams[exchange.pointee.downstream].output.isEmpty
    }

    /// Whether the model server has yet to take bytes of the request.
    func owesServer(_ exchange: UnsafeMutablePointer<Exchange>) -> Bool {
        exchange.pointee.requestPipe != .none
            || !upstreams[exchange.pointee.upstream].output.isEmpty
    }

    // MARK: Responses

    /// Moves a pipe's worth of what the server has sent of a long body (`Limits.spliceBytesMin`) to the
    /// client, who has had everything before it.
    ///
    /// - Returns: how many bytes; nil when they are to be read instead.
    func spliceResponse(_ x: Slot<Exchange>, _ slot: Slot<Upstream>) -> Int? {
        let exchange = exchanges.pointer(x)
        let u = upstreams.pointer(slot)
        guard exchange.pointee.stage == .responding, exchange.pointee.tap == noTap,
            u.pointee.input.isEmpty,
            let (p, result) = fillPipe(from: u.pointee.descriptor, exchange.pointee.response.remaining)
        else { return nil }
        switch result {
        case .moved(let count):
            exchange.pointee.responsePipe = p
            exchange.pointee.response.advance(by: count)
            exchange.pointee.bytesOut &+= UInt64(count)
            armUpstream(slot, now + models[exchange.pointee.model].timeouts.idle)
            guard drainToClient(x) else {
                cancel(x, .clientCancel)
                return count
            }
            if exchange.pointee.response.isComplete { responseComplete(x) }
            return count
        case .wouldBlock:
            u.pointee.isReadable = false
        case .closed:
            u.pointee.isPeerDone = true
            upstreamFailed(slot, .reset)
        case .failed:
            upstreamFailed(slot, .reset)
        }
        return 0
    }

    /// Sends what the pipe to the client holds. False: the client is gone.
    func drainToClient(_ x: Slot<Exchange>) -> Bool {
        let exchange = exchanges.pointer(x)
        let slot = exchange.pointee.downstream
        switch drain(exchange.pointee.responsePipe, downstreams[slot].descriptor) {
        case .moved:
            exchange.pointee.responsePipe = .none
        case .wouldBlock:
            armDownstream(slot, now + stallLimit(slot))
        case .closed, .failed:
            return false
        }
        return true
    }

    // MARK: Requests

    /// Moves a pipe's worth of what the client has sent of a long body to the server, as above. Not while the
    /// bytes may have to be sent again, or are copied to a shadow.
    ///
    /// - Returns: how many bytes; nil when they are to be read instead.
    func spliceRequest(_ x: Slot<Exchange>, _ slot: Slot<Downstream>) -> Int? {
        let exchange = exchanges.pointer(x)
        let d = downstreams.pointer(slot)
        guard exchange.pointee.stage == .forwarding || exchange.pointee.stage == .responding,
            !exchange.pointee.isReplayable, exchange.pointee.shadow == .none,
            exchange.pointee.tap == noTap, heldCount(d) == 0
        else { return nil }
        let u = upstreams.pointer(exchange.pointee.upstream)
        guard u.pointee.phase == .busy, !u.pointee.isWriteDead,
            let (p, result) = fillPipe(from: d.pointee.descriptor, exchange.pointee.request.remaining)
        else { return nil }
        switch result {
        case .moved(let count):
            exchange.pointee.requestPipe = p
            exchange.pointee.request.advance(by: count)
            exchange.pointee.bytesIn &+= UInt64(count)
            drainToServer(x)
            if exchange.pointee.request.isComplete { requestComplete(x) }
            return count
        case .wouldBlock:
            d.pointee.isReadable = false
        case .closed:
            downstreamEnded(slot)
        case .failed:
            downstreamLost(slot)
        }
        return 0
    }

    /// Sends what the pipe to the server holds. A failure is found again when the connection is read.
    func drainToServer(_ x: Slot<Exchange>) {
        let exchange = exchanges.pointer(x)
        let slot = exchange.pointee.upstream
        switch drain(exchange.pointee.requestPipe, upstreams[slot].descriptor) {
        case .moved:
            exchange.pointee.requestPipe = .none
            bytesSent(exchange)
        case .wouldBlock:
            watchWrites(slot)
            armUpstream(slot, now + models[exchange.pointee.model].timeouts.idle)
        case .closed, .failed:
            dropRequestPipe(exchange)
            writeFailed(slot)
        }
    }

    // MARK: Pipes

    /// Fills a pipe with what a socket has of a body; one that gets nothing goes back at once.
    ///
    /// - Returns: nil when there is no pipe, or no such call: the bytes are to be read.
    private func fillPipe(
        from socket: borrowing Descriptor, _ remaining: UInt64
    ) -> (pipe: Slot<SplicePipe>, result: Transfer)? {
        guard let p = takePipe() else { return nil }
        let pipe = pipes.pointer(p)
        let wanted = Int(min(remaining, UInt64(Limits.pipeBytes)))
        let result = pipe.pointee.pipe.fill(from: socket, upTo: wanted)
        if case .moved(let count) = result {
            pipe.pointee.held = count
            meter.count(.splicedBytes, UInt64(count))
            return (p, result)
        }
        keepPipe(p)
        if case .failed(let errno) = result, errno.isUnsupported {
            isSpliceRefused = true
            return nil
        }
        return (p, result)
    }

    /// Empties a pipe into a socket as far as it goes: `moved` when it is empty, and back in stock.
    private func drain(_ p: Slot<SplicePipe>, _ socket: borrowing Descriptor) -> Transfer {
        let pipe = pipes.pointer(p)
        while pipe.pointee.held > 0 {
            switch pipe.pointee.pipe.drain(into: socket, pipe.pointee.held) {
            // Nothing out of a pipe that holds something would go on for ever.
            case .moved(0): return .failed(.brokenPipe)
            case .moved(let count): pipe.pointee.held -= count
            case .wouldBlock: return .wouldBlock
            case .closed: return .closed
            case .failed(let errno): return .failed(errno)
            }
        }
        keepPipe(p)
        return .moved(0)
    }

    /// An empty pipe, or nil when none is to be had.
    private func takePipe() -> Slot<SplicePipe>? {
        guard !isSpliceRefused else { return nil }
        if idlePipe != .none {
            let p = idlePipe
            idlePipe = pipes[p].nextIdle
            return p
        }
        guard !pipes.isFull else { return nil }
        do throws(SystemFailure) {
            return pipes.insert(SplicePipe(pipe: try Pipe(room: Limits.pipeBytes)))
        } catch {
            return nil
        }
    }

    private func keepPipe(_ p: Slot<SplicePipe>) {
        pipes[p].nextIdle = idlePipe
        idlePipe = p
    }

    /// Gives up what the exchange's pipes still hold; they close over it.
    func dropPipes(_ exchange: UnsafeMutablePointer<Exchange>) {
        dropRequestPipe(exchange)
        if exchange.pointee.responsePipe != .none { pipes.remove(exchange.pointee.responsePipe) }
        exchange.pointee.responsePipe = .none
    }

    func dropRequestPipe(_ exchange: UnsafeMutablePointer<Exchange>) {
        if exchange.pointee.requestPipe != .none { pipes.remove(exchange.pointee.requestPipe) }
        exchange.pointee.requestPipe = .none
    }
}
