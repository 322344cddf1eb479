// A copied exchange in the hands of control's reader: the record and four stretches of bytes, in place.
// Place: `DataPlane.drainTaps` makes one for each filled slot and takes the slot back afterwards.
// Invariant: the bytes are what the peers sent, unchanged and unmasked, heads with their empty line, bodies
// without chunk framing; they are valid inside the call that lends the sample and nowhere else.

import Platform

/// One copied exchange, lent to its reader.
public struct TapSample: ~Copyable {
    public let record: TapRecord
    /// As the client sent it; only the start line, without query, where the bytes were gone when the
    /// exchange failed (then `requestHeadCut` is set).
    public let requestHead: UnsafeRawBufferPointer
    public let requestBody: UnsafeRawBufferPointer
    /// As the version sent it; empty when none answered.
    public let responseHead: UnsafeRawBufferPointer
    public let responseBody: UnsafeRawBufferPointer

    init(_ ring: borrowing TapRing, _ slot: UInt8) {
        record = ring.record(slot).pointee
        requestHead = Self.piece(ring.region(slot, .requestHead), record.requestHead)
        requestBody = Self.piece(ring.region(slot, .requestBody), record.requestBody)
        responseHead = Self.piece(ring.region(slot, .responseHead), record.responseHead)
        responseBody = Self.piece(ring.region(slot, .responseBody), record.responseBody)
    }

    private static func piece(
        _ region: UnsafeMutableRawBufferPointer, _ count: UInt32
    ) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(region)[..<Int(count)])
    }

    /// A sample of bytes that the caller keeps alive, for what consumes samples without a data plane.
    public init(
        record: TapRecord, requestHead: UnsafeRawBufferPointer, requestBody: UnsafeRawBufferPointer,
        responseHead: UnsafeRawBufferPointer, responseBody: UnsafeRawBufferPointer
    ) {
        self.record = record
        self.requestHead = requestHead
        self.requestBody = requestBody
        self.responseHead = responseHead
        self.responseBody = responseBody
    }
}

extension DataPlane {
    /// Lends every copied exchange that waits, core by core, oldest first. One thread at a time, which may be
    /// another than the one that calls the other methods.
    ///
    /// - Returns: how many there were.
    @discardableResult
    public func drainTaps(_ body: (borrowing TapSample) -> Void) -> Int {
        var count = 0
        for link in links {
            // At most what was there at first: a busy core must not keep the others waiting.
            for _ in 0..<Limits.tapSlots {
                guard let slot = link.taps.take() else { break }
                body(TapSample(link.taps, slot))
                link.taps.giveBack(slot)
                count += 1
            }
        }
        return count
    }
}
