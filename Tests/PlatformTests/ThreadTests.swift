// Laws of threads, mailboxes and signals. Threads of a test meet by join, by a mailbox's wakeup, or not at
// all; nothing waits for a time to pass. Signals are sent to the test's own thread, never to the process,
// because other tests run beside it.

import Glibc
import Platform
import Synchronization
import Testing

@Suite struct ThreadTests {
    @Test("A thread runs its body, and join returns after it, every time it is called")
    func join() throws {
        let done = Shared(0)
        let thread = try Thread.spawn(name: "weir-test") { done.value.withLock { $0 += 1 } }
        thread.join()
        thread.join()
        #expect(done.value.withLock { $0 } == 1)
    }

    @Test("A thread carries its name")
    func name() throws {
        let name = Shared("")
        let thread = try Thread.spawn(name: "weir-core-0") {
            let text = (try? File.readAll("/proc/thread-self/comm", bytesMax: 100)) ?? []
            name.value.withLock { $0 = String(decoding: text, as: UTF8.self) }
        }
        thread.join()
        #expect(name.value.withLock { $0 } == "weir-core-0\n")
    }

    @Test("A thread pinned to a CPU may use that one only; the index counts around")
    func pin() throws {
        let counts = Shared([Int]())
        let thread = try Thread.spawn(name: "weir-pin") {
            Thread.pin(toCPU: CPU.count * 3)
            let pinned = CPU.count
            counts.value.withLock { $0.append(pinned) }
        }
        thread.join()
        #expect(counts.value.withLock { $0 } == [1])
    }

    @Test("There is a CPU, and the quota never asks for none")
    func cpus() {
        #expect(CPU.count >= 1)
        #expect(CPU.usable >= 1 && CPU.usable <= CPU.count)
    }

    @Test(
        "A quota is read from the text of cpu.max, and what is not one is none",
        arguments: [
            ("50000 100000\n", 0.5), ("250000 100000", 2.5), ("max 100000", nil), ("-1 100000", nil),
            ("100000 0", nil), ("0 100000", nil), ("", nil), ("5", nil), ("nan 1", nil),
        ] as [(String, Double?)])
    func quota(text: String, cpus: Double?) {
        #expect(CPU.quota(ofMax: text) == cpus)
    }

    @Test("Every message arrives once and in its sender's order, from several threads")
    func mailbox() throws {
        let mailbox = try Mailbox<(sender: Int, number: Int)>(capacity: 8)
        let senders = try (0..<3).map { sender in
            try Thread.spawn(name: "weir-post") {
                for number in 0..<1_000 {
                    while !mailbox.post((sender, number)) { sched_yield() }
                }
            }
        }
        var poller = try Poller(eventsMax: 1)
        _ = poller.add(
            mailbox.wakeup.descriptor, token: Token(kind: 0, generation: 0, slot: 0), interest: .readable)
        var next = [0, 0, 0]
        while next != [1_000, 1_000, 1_000] {
            // A lost wake-up would show here as a turn without an event.
            let events = poller.wait(timeoutMillis: 60_000)
            try #require(events == 1)
            mailbox.wakeup.drain()
            while let message = mailbox.take() {
                #expect(message.number == next[message.sender])
                next[message.sender] += 1
            }
        }
        for sender in senders { sender.join() }
        #expect(mailbox.take() == nil)
    }

    @Test("A full mailbox refuses, and has room again when one message is taken")
    func full() throws {
        let mailbox = try Mailbox<Int>(capacity: 2)
        #expect(mailbox.post(1) && mailbox.post(2))
        #expect(!mailbox.post(3))
        #expect(mailbox.take() == 1)
        #expect(mailbox.post(4))
        #expect(mailbox.take() == 2 && mailbox.take() == 4 && mailbox.take() == nil)
    }

    @Test("A message takes the place of those that it makes needless, behind the others")
    func replacing() throws {
        let mailbox = try Mailbox<Int>(capacity: 3)
        #expect(mailbox.post(9) && mailbox.take() == 9)
        #expect(mailbox.post(1) && mailbox.post(20) && mailbox.post(3))
        #expect(mailbox.post(4, insteadOf: { $0 < 10 }))
        #expect(mailbox.post(5) && !mailbox.post(6))
        #expect(!mailbox.post(6, insteadOf: { $0 > 99 }))
        #expect(mailbox.take() == 20 && mailbox.take() == 4 && mailbox.take() == 5 && mailbox.take() == nil)
        #expect(mailbox.post(7, insteadOf: { _ in true }) && mailbox.take() == 7)
    }

    @Test("A message that was taken is released at once")
    func release() throws {
        let mailbox = try Mailbox<Shared<Int>>(capacity: 4)
        weak var seen: Shared<Int>?
        do {
            let message = Shared(1)
            seen = message
            #expect(mailbox.post(message))
        }
        #expect(seen != nil)
        #expect(mailbox.take() != nil)
        #expect(seen == nil)
    }

    @Test("A blocked signal is read from its descriptor instead of ending the thread")
    func signals() throws {
        let seen = Shared([Int32?]())
        let thread = try Thread.spawn(name: "weir-signal") {
            Signals.block([SIGUSR1, SIGUSR2])
            guard let descriptor = try? Signals.descriptor(for: [SIGUSR1, SIGUSR2]) else { return }
            let before = Signals.next(descriptor)
            pthread_kill(pthread_self(), SIGUSR1)
            pthread_kill(pthread_self(), SIGUSR1)
            pthread_kill(pthread_self(), SIGUSR2)
            let numbers = [before, Signals.next(descriptor), Signals.next(descriptor)]
            let after = Signals.next(descriptor)
            seen.value.withLock { $0 = numbers + [after] }
        }
        thread.join()
        #expect(seen.value.withLock { $0 } == [nil, SIGUSR1, SIGUSR2, nil])
    }
}

/// A value that threads of a test share.
final class Shared<Value: Sendable>: Sendable {
    let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }
}
