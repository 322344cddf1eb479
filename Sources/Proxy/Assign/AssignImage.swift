// A plan's assignment rules as one flat block of bytes. Built once per publication, off the cores, because
// compiling patterns and tries takes longer than a core may be away from its connections; each core then
// copies the block into memory of its own (AssignTable), which costs microseconds.
// Invariant: position-independent and complete: an AssignTable needs nothing but the image.

/// The compiled rules, ready to be copied by every core.
struct AssignImage: Sendable {
    fileprivate(set) var bytes: [UInt8] = []
    fileprivate(set) var sections = Sections()

    /// Where each kind of record begins; counts are in records.
    struct Sections: Sendable {
        var models = Section()
        var versions = Section()
        var shares = Section()
        var cohorts = Section()
        var conditions = Section()
        var facts = Section()
        var headers = Section()
        var names = Section()
        var values = Section()
        var ranges = Section()
        var patterns = Section()
        var masks = Section()
        var transitions = Section()
        var stickyKeys = Section()
        var numbers = Section()
        var intervals = Section()
        var nodes = Section()
        var targets = Section()
        var hosts = Section()
        var text = Section()
        /// The largest number of fact slots of a model.
        var slotsMax = 0
        var hostCount = 0
    }

    struct Section: Sendable {
        var offset = 0
        var count = 0
    }

    /// Compiles a plan's models and trusted ranges.
    /// - Precondition: the plan passed validation: indices in range, patterns that compile, at most
    ///   `Limits.cohortsPerModelMax` cohorts and `Limits.versionsPerModelMax` versions per model.
    init(models: [ModelPlan], trusted: [AddressRange]) {
        var compiler = AssignCompiler()
        for model in models { compiler.add(model) }
        compiler.addTrusted(trusted)
        var routes = RouteCompiler()
        for (index, model) in models.enumerated() {
            for match in model.matches { routes.add(match, model: index) }
        }
        routes.flatten(text: &compiler.text)
        append(compiler)
        sections.nodes = append(routes.nodes)
        sections.targets = append(routes.targets)
        sections.hosts = append(routes.hostTable)
        sections.hostCount = routes.hostCount
        sections.text = append(compiler.text)
    }

    private mutating func append(_ compiler: AssignCompiler) {
        sections.models = append(compiler.models)
        sections.versions = append(compiler.versions)
        sections.shares = append(compiler.shares)
        sections.cohorts = append(compiler.cohorts)
        sections.conditions = append(compiler.conditions)
        sections.facts = append(compiler.facts)
        sections.headers = append(compiler.headers)
        sections.names = append(compiler.names)
        sections.values = append(compiler.values)
        sections.ranges = append(compiler.ranges)
        sections.patterns = append(compiler.patterns)
        sections.masks = append(compiler.masks)
        sections.transitions = append(compiler.transitions)
        sections.stickyKeys = append(compiler.stickyKeys)
        sections.numbers = append(compiler.numbers)
        sections.intervals = append(compiler.intervals)
        sections.slotsMax = compiler.slotsMax
    }

    private mutating func append<Record: BitwiseCopyable>(_ records: [Record]) -> Section {
        while bytes.count % 16 != 0 { bytes.append(0) }
        let section = Section(offset: bytes.count, count: records.count)
        records.withUnsafeBytes { bytes.append(contentsOf: $0) }
        return section
    }
}
