// Laws of workers: what is enqueued is handled, in order and before `stop` returns; turns come when they were
// asked for. Tests meet the worker by `stop`, or by a mailbox of their own; nothing waits for a time to pass.

import Glibc
import Platform
import Synchronization
import Testing

/// What a worker's turns leave for the test.
private final class Seen<Value: Sendable>: Sendable {
    let value: Mutex<Value>
    init(_ value: Value) { self.value = Mutex(value) }
}

@Suite struct WorkerTests {
    @Test("Everything that was enqueued before stop is handled in its order, and the last turn is the last")
    func order() throws {
        let worker = try Worker<Int>(name: "weir-test", capacity: 1_000)
        let seen = Seen([Int]())
        let lasts = Seen([Bool]())
        #expect(worker.enqueue(0))
        try worker.start {
            { isLast in
                while let message = worker.dequeue() { seen.value.withLock { $0.append(message) } }
                lasts.value.withLock { $0.append(isLast) }
                return .never
            }
        }
        for number in 1..<1_000 { #expect(worker.enqueue(number)) }
        worker.stop()
        #expect(seen.value.withLock { $0 } == Array(0..<1_000))
        #expect(lasts.value.withLock { $0.last == true && $0.count { $0 } == 1 })
    }

    @Test("A message wakes a worker that waits for nothing else")
    func wakes() throws {
        let worker = try Worker<Int>(name: "weir-test", capacity: 1)
        let answers = try Mailbox<Int>(capacity: 1)
        try worker.start {
            { _ in
                while let message = worker.dequeue() { #expect(answers.post(message + 1)) }
                return .never
            }
        }
        for number in 0..<1_000 {
            #expect(worker.enqueue(number))
            #expect(try answer(answers) == number + 1)
        }
        worker.stop()
    }

    @Test("A turn comes at the instant that the turn before asked for, without a message")
    func timer() throws {
        let worker = try Worker<Never>(name: "weir-test", capacity: 1)
        let early = try Mailbox<Bool>(capacity: 1)
        try worker.start {
            var asked = [Instant]()
            return { _ in
                let now = Clock.now()
                if asked.count == 20 {
                    _ = early.post(asked.last.map { now < $0 } ?? true)
                    return .never
                }
                asked.append(now + .millis(1))
                return now + .millis(1)
            }
        }
        #expect(try answer(early) == false)
        worker.stop()
    }

    @Test("A full mailbox refuses, and keeps what it has")
    func full() throws {
        let worker = try Worker<Int>(name: "weir-test", capacity: 2)
        #expect(worker.enqueue(1) && worker.enqueue(2) && !worker.enqueue(3))
        #expect(worker.dequeue() == 1 && worker.dequeue() == 2 && worker.dequeue() == nil)
    }

    @Test("A worker is built on its own thread, under its name")
    func name() throws {
        let worker = try Worker<Never>(name: "weir-named", capacity: 1)
        let name = Seen("")
        try worker.start {
            let text = (try? File.readAll("/proc/thread-self/comm", bytesMax: 100)) ?? []
            name.value.withLock { $0 = String(decoding: text, as: UTF8.self) }
            return { _ in .never }
        }
        worker.stop()
        #expect(name.value.withLock { $0 } == "weir-named\n")
    }

    @Test("Stop returns for a worker that has not started, and every time it is called")
    func stop() throws {
        let worker = try Worker<Never>(name: "weir-test", capacity: 1)
        #expect(!worker.isStopping)
        worker.stop()
        #expect(worker.isStopping)
        let turns = Seen([Bool]())
        // Stopped before: its first turn is its last.
        try worker.start {
            { isLast in
                turns.value.withLock { $0.append(isLast) }
                return .never
            }
        }
        worker.stop()
        worker.stop()
        #expect(turns.value.withLock { $0 } == [true])
    }

    /// The next message of a mailbox.
    private func answer<Message>(_ mailbox: Mailbox<Message>) throws -> Message {
        let wait = MailboxWait(try Poller(eventsMax: 1))
        try wait.watch(mailbox.wakeup)
        while true {
            if let message = mailbox.take() { return message }
            try #require(wait.wait(timeoutMillis: 60_000))
            mailbox.wakeup.drain()
        }
    }
}
