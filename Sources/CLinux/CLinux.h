// The system calls of Weir as C functions, for three reasons: GNU-only calls and macros that the Glibc
// module does not import, one place where EINTR is retried, and one convention for errors. Unless a
// comment says otherwise a function returns the call's result, or the negated errno when it failed.
#ifndef WEIR_CLINUX_H
#define WEIR_CLINUX_H
// No _GNU_SOURCE here: the Glibc module is built without it, and types that differ would clash.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Declared by glibc only under _GNU_SOURCE.
extern int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);
extern const char *strerrorname_np(int code);
extern const char *strerrordesc_np(int code);
extern int pipe2(int ends[2], int flags);
extern ssize_t splice(
    int from, off_t *from_offset, int to, off_t *to_offset, size_t count, unsigned flags);
#ifndef SPLICE_F_MOVE
#define SPLICE_F_MOVE 1
#define SPLICE_F_NONBLOCK 2
#endif
#ifndef F_SETPIPE_SZ
#define F_SETPIPE_SZ 1031
#endif

#define WEIR_RETRY(type, call) \
    type result; \
    do { \
        result = (call); \
    } while (result < 0 && errno == EINTR); \
    return result < 0 ? -(type)errno : result

// MARK: Time and memory

static inline uint64_t weir_clock(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t weir_now(void) { return weir_clock(CLOCK_MONOTONIC); }
static inline uint64_t weir_wall(void) { return weir_clock(CLOCK_REALTIME); }

/// Zeroed memory that costs nothing until it is touched, or NULL. No huge pages: the first touch of a page
/// must not cost the zeroing of 2 MiB, nor count as resident.
static inline void *weir_pages(size_t bytes) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (start == MAP_FAILED) return NULL;
    madvise(start, bytes, MADV_NOHUGEPAGE);
    return start;
}

static inline void weir_pages_release(void *start, size_t bytes) { munmap(start, bytes); }

// MARK: Bytes through descriptors

// The three calls of the request path go straight to the kernel: as cancellation points of pthreads the
// library's own cost two locked instructions each, and no thread of Weir is ever cancelled.

static inline ssize_t weir_recv(int descriptor, void *bytes, size_t count) {
    WEIR_RETRY(ssize_t, syscall(SYS_recvfrom, descriptor, bytes, count, MSG_DONTWAIT, NULL, NULL));
}

static inline ssize_t weir_peek(int descriptor, void *bytes, size_t count) {
    WEIR_RETRY(ssize_t, recv(descriptor, bytes, count, MSG_DONTWAIT | MSG_PEEK));
}

static inline ssize_t weir_send(int descriptor, const void *bytes, size_t count, int more) {
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
    WEIR_RETRY(ssize_t, syscall(SYS_sendto, descriptor, bytes, count, flags, NULL, 0));
}

static inline ssize_t weir_send_pieces(int descriptor, struct iovec *pieces, size_t count, int more) {
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
    WEIR_RETRY(ssize_t, sendmsg(descriptor, &message, flags));
}

/// Two stretches as one message.
static inline ssize_t weir_send_two(
    int descriptor, const void *first, size_t first_count, const void *second, size_t second_count
) {
    struct iovec pieces[2] = {{(void *)first, first_count}, {(void *)second, second_count}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    WEIR_RETRY(ssize_t, syscall(SYS_sendmsg, descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
}

/// Between a pipe and a socket, one of each; the socket must be non-blocking by itself.
static inline ssize_t weir_splice(int from, int to, size_t count) {
    WEIR_RETRY(ssize_t, splice(from, NULL, to, NULL, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
}

static inline ssize_t weir_read(int descriptor, void *bytes, size_t count) {
    WEIR_RETRY(ssize_t, read(descriptor, bytes, count));
}

static inline ssize_t weir_write(int descriptor, const void *bytes, size_t count) {
    WEIR_RETRY(ssize_t, write(descriptor, bytes, count));
}

/// Not retried: on Linux the descriptor is gone even when close reports EINTR.
static inline int weir_close(int descriptor) { return close(descriptor) < 0 ? -errno : 0; }

static inline int weir_duplicate(int descriptor) {
    WEIR_RETRY(int, fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
}

static inline int weir_shutdown_write(int descriptor) {
    return shutdown(descriptor, SHUT_WR) < 0 ? -errno : 0;
}

// MARK: Sockets

static inline int weir_socket(int family) {
    int result = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return result < 0 ? -errno : result;
}

static inline int weir_set_option(int descriptor, int level, int option, int value) {
    return setsockopt(descriptor, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

/// The option's value (never negative for the options that Weir reads), or the negated errno.
static inline int weir_get_option(int descriptor, int level, int option) {
    int value = 0;
    socklen_t length = sizeof value;
    return getsockopt(descriptor, level, option, &value, &length) < 0 ? -errno : value;
}

static inline int weir_no_delay(int descriptor) {
    return weir_set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
}

/// Makes close send a reset and forget unsent bytes.
static inline int weir_reset_on_close(int descriptor) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    return setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) < 0 ? -errno : 0;
}

static inline int weir_bind(int descriptor, const struct sockaddr_storage *address, socklen_t length) {
    return bind(descriptor, (const struct sockaddr *)address, length) < 0 ? -errno : 0;
}

static inline int weir_listen(int descriptor, int backlog) {
    return listen(descriptor, backlog) < 0 ? -errno : 0;
}

/// Not retried: an interrupted non-blocking connect goes on by itself.
static inline int weir_connect(int descriptor, const struct sockaddr_storage *address, socklen_t length) {
    return connect(descriptor, (const struct sockaddr *)address, length) < 0 ? -errno : 0;
}

static inline int weir_local_address(int descriptor, struct sockaddr_storage *address, socklen_t *length) {
    return getsockname(descriptor, (struct sockaddr *)address, length) < 0 ? -errno : 0;
}

/// ECONNABORTED is retried: that client is gone, the next one may be waiting.
static inline int weir_accept(int listener, struct sockaddr_storage *address, socklen_t *length) {
    int result;
    do {
        *length = sizeof *address;
        result = accept4(listener, (struct sockaddr *)address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (result < 0 && (errno == EINTR || errno == ECONNABORTED));
    return result < 0 ? -errno : result;
}

/// struct ucred of glibc, which is declared only under _GNU_SOURCE.
struct weir_credentials {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
};

static inline int weir_peer_credentials(int descriptor, struct weir_credentials *credentials) {
    socklen_t length = sizeof *credentials;
    return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, credentials, &length) < 0 ? -errno : 0;
}

// MARK: Readiness and wake-ups

static inline int weir_poller(void) {
    int result = epoll_create1(EPOLL_CLOEXEC);
    return result < 0 ? -errno : result;
}

static inline int weir_poller_control(
    int poller, int operation, int descriptor, uint32_t events, uint64_t token
) {
    struct epoll_event event = {.events = events, .data = {.u64 = token}};
    return epoll_ctl(poller, operation, descriptor, &event) < 0 ? -errno : 0;
}

/// Not retried: an interrupted wait is a turn without events.
static inline int weir_poller_wait(int poller, struct epoll_event *events, int count, int timeout_millis) {
    // The kernel's signal mask has 8 bytes; NULL leaves it as it is.
    int result = (int)syscall(SYS_epoll_pwait, poller, events, count, timeout_millis, NULL, (size_t)8);
    return result < 0 ? -errno : result;
}

/// As above, to the nanosecond, for whoever must send at an exact time. Kernels before 5.11 lack the call and
/// get the time rounded down to milliseconds: a turn without events, early.
static inline int weir_poller_wait_nanos(
    int poller, struct epoll_event *events, int count, int64_t timeout_nanos) {
    struct timespec timeout = {timeout_nanos / 1000000000, timeout_nanos % 1000000000};
    int result = epoll_pwait2(poller, events, count, &timeout, NULL);
    if (result < 0 && errno == ENOSYS) {
        return weir_poller_wait(poller, events, count, (int)(timeout_nanos / 1000000));
    }
    return result < 0 ? -errno : result;
}

static inline uint64_t weir_event_token(const struct epoll_event *event) { return event->data.u64; }
static inline uint32_t weir_event_readiness(const struct epoll_event *event) { return event->events; }

static inline int weir_wakeup(void) {
    int result = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return result < 0 ? -errno : result;
}

static inline int weir_signal_descriptor(const sigset_t *signals) {
    int result = signalfd(-1, signals, SFD_NONBLOCK | SFD_CLOEXEC);
    return result < 0 ? -errno : result;
}

/// The number of the next pending signal, or the negated errno.
static inline int weir_next_signal(int descriptor) {
    struct signalfd_siginfo info;
    ssize_t result = weir_read(descriptor, &info, sizeof info);
    if (result < 0) return (int)result;
    return result == sizeof info ? (int)info.ssi_signo : -EIO;
}

static inline void weir_ignore_signal(int number) { signal(number, SIG_IGN); }

// MARK: Threads, processors, entropy

static inline void weir_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

/// Room for 8192 processors; the kernel refuses a shorter mask than it has.
struct weir_processors {
    uint64_t words[128];
};

/// The number of processors that the calling thread may run on.
static inline int weir_processors_allowed(struct weir_processors *allowed) {
    memset(allowed, 0, sizeof *allowed);
    if (syscall(SYS_sched_getaffinity, 0, sizeof *allowed, allowed) < 0) return -errno;
    int count = 0;
    for (int word = 0; word < 128; word++) count += __builtin_popcountll(allowed->words[word]);
    return count;
}

/// Ties the calling thread to the index-th of the processors that it may run on, counted around.
static inline int weir_pin(int index) {
    struct weir_processors allowed, one;
    int count = weir_processors_allowed(&allowed);
    if (count <= 0) return count < 0 ? count : -EINVAL;
    memset(&one, 0, sizeof one);
    int left = index % count;
    for (int processor = 0; processor < 8192; processor++) {
        uint64_t bit = (uint64_t)1 << (processor & 63);
        if (!(allowed.words[processor >> 6] & bit) || left-- > 0) continue;
        one.words[processor >> 6] = bit;
        break;
    }
    return syscall(SYS_sched_setaffinity, 0, sizeof one, &one) < 0 ? -errno : 0;
}

static inline ssize_t weir_random(void *bytes, size_t count) {
    WEIR_RETRY(ssize_t, getrandom(bytes, count, 0));
}

// MARK: Files

static inline int weir_open(const char *path, int flags, mode_t mode) {
    WEIR_RETRY(int, open(path, flags | O_CLOEXEC, mode));
}

static inline int weir_sync(int descriptor) { WEIR_RETRY(int, fsync(descriptor)); }

static inline int weir_truncate(int descriptor, off_t bytes) {
    WEIR_RETRY(int, ftruncate(descriptor, bytes));
}

// Declared by glibc only under _GNU_SOURCE.
extern int fallocate(int descriptor, int mode, off_t from, off_t bytes);

/// Gives a file blocks for that range without changing its size; writes into them need no free space.
static inline int weir_reserve(int descriptor, off_t from, off_t bytes) {
    WEIR_RETRY(int, fallocate(descriptor, 1 /* FALLOC_FL_KEEP_SIZE */, from, bytes));
}

/// Takes the advisory lock of a file without waiting; -EWOULDBLOCK when another process holds it.
static inline int weir_lock(int descriptor) { WEIR_RETRY(int, flock(descriptor, LOCK_EX | LOCK_NB)); }

static inline int weir_stat(int descriptor, struct stat *result) {
    return fstat(descriptor, result) < 0 ? -errno : 0;
}

/// Of the path itself: a symbolic link is not followed.
static inline int weir_stat_path(const char *path, struct stat *result) {
    return lstat(path, result) < 0 ? -errno : 0;
}

// The same relative to an open directory; no symbolic link is followed unless the flags of `weir_open_at`
// say so.

static inline int weir_open_at(int directory, const char *name, int flags, mode_t mode) {
    WEIR_RETRY(int, openat(directory, name, flags | O_CLOEXEC, mode));
}

static inline int weir_stat_at(int directory, const char *name, struct stat *result) {
    return fstatat(directory, name, result, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static inline int weir_rename_at(int directory, const char *from, const char *to) {
    return renameat(directory, from, directory, to) < 0 ? -errno : 0;
}

static inline int weir_unlink_at(int directory, const char *name) {
    return unlinkat(directory, name, 0) < 0 ? -errno : 0;
}

static inline int weir_make_directory_at(int directory, const char *name, mode_t mode) {
    return mkdirat(directory, name, mode) < 0 ? -errno : 0;
}

static inline int weir_give(int descriptor, uid_t owner, gid_t group) {
    return fchown(descriptor, owner, group) < 0 ? -errno : 0;
}

/// Before a Unix socket is bound: the rights of the file that bind makes, less the umask.
static inline int weir_set_mode(int descriptor, mode_t mode) {
    return fchmod(descriptor, mode) < 0 ? -errno : 0;
}

static inline int weir_rename(const char *from, const char *to) { return rename(from, to) < 0 ? -errno : 0; }
static inline int weir_unlink(const char *path) { return unlink(path) < 0 ? -errno : 0; }
static inline int weir_make_directory(const char *path, mode_t mode) {
    return mkdir(path, mode) < 0 ? -errno : 0;
}

/// Unmaps the pages of all mapped code and constants; they come back from the page cache when used. Code is
/// never written; read-only data may hold relocations that exist nowhere else, and then has pages of its own
/// ("Anonymous") and stays.
static inline void weir_drop_code(void) {
    FILE *maps = fopen("/proc/self/smaps", "re");
    if (!maps) return;
    char line[512], rights[5] = "";
    unsigned long start = 0, end = 0, inode = 0;
    while (fgets(line, sizeof line, maps)) {
        // A mapping begins with its address in lower-case digits, what is said of it with a capital.
        if (line[0] < 'A' || line[0] > 'Z') {
            if (sscanf(line, "%lx-%lx %4s %*s %*s %lu", &start, &end, rights, &inode) != 4) inode = 0;
            continue;
        }
        if (inode == 0 || strncmp(line, "Anonymous:", 10) != 0) continue;
        unsigned long own = strtoul(line + 10, NULL, 10);
        int is_code = strcmp(rights, "r-xp") == 0, is_clean = strcmp(rights, "r--p") == 0 && own == 0;
        if (is_code || is_clean) madvise((void *)start, end - start, MADV_DONTNEED);
    }
    fclose(maps);
}

// MARK: Process

/// User and system time of the whole process in microseconds.
static inline uint64_t weir_cpu_micros(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static inline uint64_t weir_descriptors_max(void) {
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : limit.rlim_cur;
}

/// How far the soft limit can be raised.
static inline uint64_t weir_descriptors_hard_max(void) {
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : limit.rlim_max;
}

/// Raises the soft limit of open descriptors to the hard one.
static inline int weir_raise_descriptors_max(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

// MARK: Pipes and children

/// ends[0] to read, ends[1] to write; both close on exec.
static inline int weir_pipe(int *ends) { return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0; }

/// Asks for room for so many bytes; returns what the pipe has, or the negated errno.
static inline int weir_pipe_room(int descriptor, int bytes) {
    int result = fcntl(descriptor, F_SETPIPE_SZ, bytes);
    return result < 0 ? -errno : result;
}

static inline int weir_unblock(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    return flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/// Keeps SIGPIPE from the calling thread: writing to a pipe that nobody reads is EPIPE there and no more.
static inline void weir_block_broken_pipe(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

/// Starts argv[0] with both ends as its standard streams, in a new process group, with no signal blocked or
/// ignored. Returns 0 or a positive error number.
static inline int weir_spawn(
    char *const *argv, char *const *envp, int input, int output, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0) return code;
    code = posix_spawnattr_init(&attributes);
    if (code != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return code;
    }
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_adddup2(&actions, input, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_adddup2(&actions, output, 2);
    code = posix_spawn(pid, argv[0], &actions, &attributes, argv, envp);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

/// 0 while the child runs, its number when it has ended and been reaped, or the negated errno.
static inline int weir_reap(pid_t pid, int *status) { WEIR_RETRY(int, waitpid(pid, status, WNOHANG)); }

/// Columns of the terminal behind a descriptor; 0 when there is none.
static inline int weir_terminal_columns(int descriptor) {
    struct winsize size;
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

#endif
