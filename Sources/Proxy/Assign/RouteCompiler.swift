// Route matches to a compressed trie over path bytes: one node per shared beginning, so that a lookup costs
// the bytes of the path that any route shares with it, however many models there are. Hosts are numbered
// and looked up once; a node lists its models by host. Runs once per plan, off the cores.
// Invariant: the children of a node are contiguous, and differ in the first byte of their labels.

/// Builds the records of `RouteTable`.
struct RouteCompiler {
    private(set) var nodes: [RouteNode] = []
    private(set) var targets: [RouteTarget] = []
    private(set) var hostTable: [HostEntry] = []
    var hostCount: Int { hosts.count }

    private struct Branch {
        var label: [UInt8]
        var children: [Int] = []
        var exact: [RouteTarget] = []
        var prefix: [RouteTarget] = []
    }

    private var branches = [Branch(label: [])]
    private var hosts: [[UInt8]: UInt32] = [:]

    /// Adds a match; the first model that claims a path and host keeps them.
    mutating func add(_ match: RouteMatch, model: ModelIndex) {
        let target = RouteTarget(host: number(of: match.host), model: UInt32(model))
        switch match.path {
        case .exact(let path):
            let branch = branch(for: Array(path.utf8))
            Self.insert(target, into: &branches[branch].exact)
        case .prefix(let path):
            // "/" means everything, the asterisk form and an empty path too.
            let branch = branch(for: path == "/" ? [] : Array(path.utf8))
            Self.insert(target, into: &branches[branch].prefix)
        }
    }

    private static func insert(_ target: RouteTarget, into list: inout [RouteTarget]) {
        let at = list.firstIndex { $0.host >= target.host } ?? list.count
        if at < list.count, list[at].host == target.host { return }
        list.insert(target, at: at)
    }

    private mutating func number(of host: String?) -> UInt32 {
        guard let host else { return 0 }
        var name = FactNames.lowered(host)
        if name.count > 1, name.last == UInt8(ascii: ".") { name.removeLast() }
        if let number = hosts[name] { return number }
        hosts[name] = UInt32(hosts.count + 1)
        return UInt32(hosts.count)
    }

    /// The branch that stands for `path`, made if need be by splitting another.
    private mutating func branch(for path: [UInt8]) -> Int {
        var here = 0
        var rest = path[...]
        while let first = rest.first {
            guard let place = branches[here].children.firstIndex(where: { branches[$0].label[0] == first })
            else {
                branches.append(Branch(label: Array(rest)))
                branches[here].children.append(branches.count - 1)
                return branches.count - 1
            }
            let child = branches[here].children[place]
            let shared = zip(branches[child].label, rest).prefix { $0 == $1 }.count
            if shared == branches[child].label.count {
                here = child
            } else {
                let upper = Branch(label: Array(rest.prefix(shared)), children: [child])
                branches[child].label.removeFirst(shared)
                branches.append(upper)
                branches[here].children[place] = branches.count - 1
                here = branches.count - 1
            }
            rest = rest.dropFirst(shared)
        }
        return here
    }

    // MARK: Laying out

    /// Turns the branches into records, breadth first, so that siblings are neighbours.
    mutating func flatten(text: inout [UInt8]) {
        var queue: [(branch: Int, isBorder: Bool)] = [(0, true)]
        var done = 0
        while done < queue.count {
            let (index, isBorder) = queue[done]
            done += 1
            let branch = branches[index]
            let children = branch.children.sorted { branches[$0].label[0] < branches[$1].label[0] }
            let firstChild = queue.count
            for child in children {
                let last = branches[child].label.last
                queue.append((child, last == UInt8(ascii: "/") || last == UInt8(ascii: ":")))
            }
            precondition(branch.label.count <= Int(UInt16.max))
            nodes.append(
                RouteNode(
                    label: Self.add(branch.label, to: &text),
                    childBytes: Self.add(children.map { branches[$0].label[0] }, to: &text).start,
                    firstChild: UInt32(firstChild), exact: add(branch.exact), prefix: add(branch.prefix),
                    childCount: UInt16(children.count), isBorder: isBorder))
        }
        flattenHosts(text: &text)
    }

    private mutating func add(_ list: [RouteTarget]) -> Place {
        targets += list
        return Place(targets.count - list.count, list.count)
    }

    private static func add(_ bytes: [UInt8], to text: inout [UInt8]) -> Place {
        text += bytes
        return Place(text.count - bytes.count, bytes.count)
    }

    private mutating func flattenHosts(text: inout [UInt8]) {
        hostTable = Array(repeating: .free, count: AssignCompiler.places(for: hosts.count))
        for (name, number) in hosts.sorted(by: { $0.value < $1.value }) {
            let hash = AssignCompiler.foldedHash(name)
            var at = Int(hash) & (hostTable.count - 1)
            while hostTable[at].host != 0 { at = (at + 1) & (hostTable.count - 1) }
            let place = Self.add(name, to: &text)
            _ = Self.add(
                name.map { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) ? 0x20 : 0 }, to: &text)
            hostTable[at] = HostEntry(hash: hash, host: number, count: UInt32(name.count), bytes: place.start)
        }
    }
}
