// What once got past the validator is refused.
// The messages are in Tests/Corpora/Corpus.swift.

import Corpora
import Testing

@testable import Wire

@Suite struct CorpusTests {
    @Test("What got past the validator once is refused", arguments: corpus)
    func refused(_ hostile: Hostile) {
        #expect(request(hostile.text) == .refused(hostile.status, hostile.label))
    }
}
