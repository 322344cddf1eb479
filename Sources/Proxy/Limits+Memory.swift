// What a core may come to hold at worst, so that a start can tell whether the machine has it. Memory is taken
// as it is first touched, so an idle core holds next to nothing of this.
// Invariant: counts what `Core.init` reserves and what the kernel keeps in pipes; buffers of sockets are the
// kernel's and not counted.

import Platform

extension Limits {
    /// Bytes of a core whose every bound is reached, meters and plan aside.
    public var bytesMax: Int {
        let slots =
            downstreamsMax * MemoryLayout<Downstream>.stride + upstreamsMax * MemoryLayout<Upstream>.stride
            + shadowsMax * MemoryLayout<ShadowCopy>.stride
            + min(exchangesMax, downstreamsMax)
            * (MemoryLayout<Exchange>.stride + MemoryLayout<ExchangeTexts>.stride)
        // Marks, timers, the two lines of tokens and the places in lines of holders.
        let perSlot = (downstreamsMax + upstreamsMax + exchangesMax + shadowsMax) * 76
        let readMax = max(Limits.readBytesMax, replayBytesMax)
        let scratch = 7 * anyHeadBytesMax + Limits.readBytesMax + 4 * readMax
        let taps = Limits.tapSlots * 2 * (Limits.tapHeadBytes + Limits.tapBodyBytes)
        return slots + perSlot + scratch + taps + blocksMax * Limits.bytesPerBlock
            + pipesMax * Limits.pipeBytes
    }

    /// What each of `blocksMax` adds: a block, and a small one.
    public static var bytesPerBlock: Int { blockBytes + smallBlockBytes }

    /// Descriptors of a core whose every bound is reached, listeners aside: connections, two for each pipe,
    /// its poller and its wakeup.
    public var descriptorsMax: Int { downstreamsMax + upstreamsMax + 2 * pipesMax + 2 }
}
