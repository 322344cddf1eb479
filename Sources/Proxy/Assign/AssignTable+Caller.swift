// Who called: the peer, or, where the peer is a trusted proxy, the address that it and the trusted proxies
// before it vouch for. X-Forwarded-For is read from the right: each trusted hop vouches for the one it
// added, and the first hop that is not trusted is the client. What stands left of it is the client's own
// invention.
// Invariant: an untrusted peer's header is never read; a hop that is no address ends the walk at the last
// good one.

import Platform
import Wire

extension AssignTable {
    /// Whether an address lies in the plan's trusted ranges: one binary search.
    func trusts(_ address: IPAddress) -> Bool {
        let wide = UInt128(address.high) &<< 64 | UInt128(address.low)
        var low = 0
        var high = intervalCount
        while low < high {
            let middle = (low &+ high) &>> 1
            if intervals[middle].last < wide {
                low = middle &+ 1
            } else if intervals[middle].first > wide {
                high = middle
            } else {
                return true
            }
        }
        return false
    }

    /// The client behind a parsed request.
    func caller(
        peer: IPAddress, head: RequestHead, fields: borrowing HeadParser, bytes: RawSpan
    ) -> Caller {
        if intervalCount == 0 || !trusts(peer) { return Caller(client: peer, isTrusted: false) }
        precondition(head.byteCount <= bytes.byteCount && head.fieldCount == fields.fieldCount)
        return Caller(
            client: lastUntrustedHop(peer: peer, head: head, fields: fields, bytes: bytes), isTrusted: true)
    }

    @inline(never)
    private func lastUntrustedHop(
        peer: IPAddress, head: RequestHead, fields: borrowing HeadParser, bytes: RawSpan
    ) -> IPAddress {
        var client = peer
        var index = head.fieldCount
        while index > 0 {
            index &-= 1
            let field = fields.field(index)
            guard field.known == .forwardedFor else { continue }
            let isSettled = bytes.withUnsafeBytes { raw in
                guard let base = raw.baseAddress else { return true }
                return walk(ByteView(base + Int(field.value.start), Int(field.value.count)), client: &client)
            }
            if isSettled { break }
        }
        return client
    }

    /// Walks one list from its right end; true when the client is found.
    private func walk(_ list: ByteView, client: inout IPAddress) -> Bool {
        var end = list.count
        while end > 0 {
            var start = end
            while start > 0, list[start &- 1] != UInt8(ascii: ",") { start &-= 1 }
            guard let hop = IPAddress(hop: ByteView(list.base + start, end &- start)) else { return true }
            client = hop
            if !trusts(hop) { return true }
            end = start &- 1
        }
        return false
    }
}

extension IPAddress {
    /// A hop of X-Forwarded-For: an IPv4 or IPv6 address, perhaps with a port, brackets around IPv6, and
    /// blanks around it all. Nil for anything else ("unknown", names, zones).
    init?(hop bytes: ByteView) {
        var hop = bytes
        while hop.count > 0, hop[0] == 0x20 || hop[0] == 0x09 { hop = ByteView(hop.base + 1, hop.count &- 1) }
        while hop.count > 0, hop[hop.count &- 1] == 0x20 || hop[hop.count &- 1] == 0x09 {
            hop = ByteView(hop.base, hop.count &- 1)
        }
        guard hop.count > 0 else { return nil }
        if hop[0] == UInt8(ascii: "[") {
            var close = 1
            while close < hop.count, hop[close] != UInt8(ascii: "]") { close &+= 1 }
            guard close < hop.count,
                Self.isPort(ByteView(hop.base + (close &+ 1), hop.count &- close &- 1))
            else { return nil }
            self.init(ipv6: ByteView(hop.base + 1, close &- 1))
            return
        }
        var colons = 0
        var colon = 0
        for at in 0..<hop.count where hop[at] == UInt8(ascii: ":") {
            colons &+= 1
            colon = at
        }
        if colons > 1 {
            self.init(ipv6: hop)
            return
        }
        let end = colons == 1 ? colon : hop.count
        guard Self.isPort(ByteView(hop.base + end, hop.count &- end)),
            let address = Self.ipv4(ByteView(hop.base, end))
        else { return nil }
        self.init(ipv4: address)
    }

    /// Nothing, or a colon and one to five digits.
    private static func isPort(_ bytes: ByteView) -> Bool {
        if bytes.count == 0 { return true }
        guard bytes[0] == UInt8(ascii: ":"), bytes.count >= 2, bytes.count <= 6 else { return false }
        for at in 1..<bytes.count where bytes[at] < 0x30 || bytes[at] > 0x39 { return false }
        return true
    }

    /// Four decimal numbers without leading zeros between dots.
    private static func ipv4(_ bytes: ByteView) -> UInt32? {
        guard bytes.count >= 7, bytes.count <= 15 else { return nil }
        var address: UInt32 = 0
        var number: UInt32 = 0
        var digits = 0
        var dots = 0
        for at in 0..<bytes.count {
            let byte = bytes[at]
            if byte == UInt8(ascii: ".") {
                guard digits > 0, dots < 3 else { return nil }
                address = address &<< 8 | number
                number = 0
                digits = 0
                dots &+= 1
            } else {
                guard byte >= 0x30, byte <= 0x39, !(digits > 0 && number == 0) else { return nil }
                number = number &* 10 &+ UInt32(byte &- 0x30)
                digits &+= 1
                guard number <= 255 else { return nil }
            }
        }
        guard digits > 0, dots == 3 else { return nil }
        return address &<< 8 | number
    }

    /// RFC 4291, section 2.2: eight groups of hexadecimal digits, "::" for a run of zero groups, perhaps an
    /// IPv4 address as the last two.
    private init?(ipv6 bytes: ByteView) {
        guard bytes.count >= 2, bytes.count <= 45 else { return nil }
        var address: UInt128 = 0
        var groups = 0
        var gap = -1
        var at = 0
        if bytes[0] == UInt8(ascii: ":") {
            guard bytes[1] == UInt8(ascii: ":") else { return nil }
            gap = 0
            at = 2
        }
        while at < bytes.count {
            guard groups < 8 else { return nil }
            var end = at
            while end < bytes.count, bytes[end] != UInt8(ascii: ":") { end &+= 1 }
            let group = ByteView(bytes.base + at, end &- at)
            if end == bytes.count, groups <= 6, let last = Self.ipv4(group) {
                address = address &<< 32 | UInt128(last)
                groups &+= 2
                break
            }
            guard let value = Self.hexGroup(group) else { return nil }
            address = address &<< 16 | UInt128(value)
            groups &+= 1
            at = end
            guard at < bytes.count else { break }
            at &+= 1
            if at < bytes.count, bytes[at] == UInt8(ascii: ":") {
                guard gap < 0 else { return nil }
                gap = groups
                at &+= 1
            } else if at == bytes.count {
                return nil
            }
        }
        if gap >= 0 {
            guard groups < 8 else { return nil }
            // The groups behind the gap stay at the right end, those before it move to the left end.
            let behind = UInt128((groups &- gap) &* 16)
            let lowMask = (UInt128(1) << behind) &- 1
            let front = behind >= 128 ? 0 : address >> behind
            let lead = UInt128(128 &- gap &* 16)
            address = (lead >= 128 ? 0 : front << lead) | address & lowMask
        } else if groups != 8 {
            return nil
        }
        self.init(
            high: UInt64(truncatingIfNeeded: address >> 64), low: UInt64(truncatingIfNeeded: address))
    }

    private static func hexGroup(_ bytes: ByteView) -> UInt16? {
        guard bytes.count >= 1, bytes.count <= 4 else { return nil }
        var value: UInt16 = 0
        for at in 0..<bytes.count {
            let digit: UInt8
            switch bytes[at] {
            case 0x30...0x39: digit = bytes[at] &- 0x30
            case 0x41...0x46: digit = bytes[at] &- 0x37
            case 0x61...0x66: digit = bytes[at] &- 0x57
            default: return nil
            }
            value = value &<< 4 | UInt16(digit)
        }
        return value
    }
}
