// Work that an event made possible but must not do itself, because the read buffer is in use above it on the
// stack: connections to read again, exchanges to send again. First in, first out; each at most once (the
// holder's `isResumed` flag), so the capacity is the number of things that can stand in line.

import Platform

/// A bounded line of tokens. Confined to one core.
struct ResumeLine: ~Copyable {
    private let tokens: UnsafeMutablePointer<Token>
    private let capacity: Int
    private var head = 0
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        tokens = Pages.allocate(bytes: capacity * MemoryLayout<Token>.stride)
            .bindMemory(to: Token.self, capacity: capacity)
    }

    deinit {
        Pages.release(tokens, bytes: capacity * MemoryLayout<Token>.stride)
    }

    var isEmpty: Bool { count == 0 }
    var isFull: Bool { count == capacity }

    mutating func append(_ token: Token) {
        precondition(count < capacity, "a token stands in line twice")
        var tail = head + count
        if tail >= capacity { tail -= capacity }
        tokens[tail] = token
        count += 1
    }

    mutating func popFirst() -> Token? {
        guard count > 0 else { return nil }
        let token = tokens[head]
        head += 1
        if head == capacity { head = 0 }
        count -= 1
        return token
    }
}
