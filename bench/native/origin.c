// The model servers of the benchmarks: one thread, one process, as cheap as a server can be, so that the CPU
// it shares with the load is not what is measured.
//
//   origin NAME[=MILLIS] ... [NAME=unix:PATH]
//
// Each argument opens a listener that answers 1 KB, at once or MILLIS later (-1: never). `?bytes=N` in a
// target asks for a longer answer. The first line on stdout is {"name": port, ...}; every line on stdin is
// answered by a line with the requests that each name has received; the end of stdin ends the process.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LISTENERS = 128, HEAD = 8192, READ = 256 << 10, ANSWER = 4 << 20, EVENTS = 256 };

struct connection {
    struct connection *next;  // in its listener's line of answers that are due later
    uint64_t due;
    int fd, held, listener;
    int is_in_body, is_chunked, waits, is_writing;
    long body_left, answer_bytes, sent;
    char head[HEAD];  // part of a head, or the head of an answer that is being written
    int head_bytes;
};
struct listener {
    const char *name;
    int fd, port, millis;
    uint64_t requests;
    struct connection *first, *last;
};

static struct listener listeners[LISTENERS];
static int listener_count, poller;
static char inbox[READ + HEAD], *filler, ready[2048];
static int ready_bytes;

static uint64_t now_millis(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int compose(char *head, long bytes) {
    return sprintf(head,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %ld\r\n\r\n", bytes);
}

static void watch(int fd, uint32_t events, void *pointer, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = pointer};
    if (epoll_ctl(poller, operation, fd, &event) < 0) perror("epoll_ctl");
}

static void end(struct connection *c) {
    struct listener *l = &listeners[c->listener];
    struct connection **link = &l->first, *previous = NULL;
    while (c->waits && *link && *link != c) previous = *link, link = &(*link)->next;
    if (c->waits && *link == c) {
        *link = c->next;
        if (l->last == c) l->last = previous;
    }
    close(c->fd);
    free(c);
}

// Writes what is left of the answer; 0 when the connection is gone.
static int push(struct connection *c) {
    while (c->sent < c->head_bytes + c->answer_bytes) {
        struct iovec pieces[2];
        int count = 0;
        long body = c->sent > c->head_bytes ? c->sent - c->head_bytes : 0;
        if (c->sent < c->head_bytes) {
            pieces[count++] = (struct iovec){c->head + c->sent, (size_t)(c->head_bytes - c->sent)};
        }
        pieces[count++] = (struct iovec){filler, (size_t)(c->answer_bytes - body)};
        ssize_t moved = writev(c->fd, pieces, count);
        if (moved < 0 && errno == EAGAIN) {
            if (!c->is_writing) watch(c->fd, EPOLLOUT, c, EPOLL_CTL_MOD);
            c->is_writing = 1;
            return 1;
        }
        if (moved < 0) return end(c), 0;
        c->sent += moved;
    }
    if (c->is_writing) watch(c->fd, EPOLLIN, c, EPOLL_CTL_MOD);
    c->is_writing = 0;
    return 1;
}

static int answer(struct connection *c) {
    c->waits = 0;
    if (c->answer_bytes == 1024) {
        ssize_t moved = send(c->fd, ready, (size_t)ready_bytes, MSG_NOSIGNAL);
        if (moved == ready_bytes) return 1;
        if (moved < 0 && errno != EAGAIN) return end(c), 0;
        c->sent = moved < 0 ? 0 : moved;
    } else {
        c->sent = 0;
    }
    c->head_bytes = compose(c->head, c->answer_bytes);
    return push(c);
}

// The request is whole: answers it, or puts it into the line.
static int finish(struct connection *c) {
    struct listener *l = &listeners[c->listener];
    l->requests++;
    if (l->millis == 0) return answer(c);
    c->waits = 1;
    c->next = NULL;
    if (l->millis < 0) return 1;
    c->due = now_millis() + (uint64_t)l->millis;
    if (l->last) l->last->next = c; else l->first = c;
    l->last = c;
    return 1;
}

static int take_head(struct connection *c, char *head, char *blank) {
    char *line = memchr(head, '\n', (size_t)(blank - head));
    c->answer_bytes = 1024;
    c->is_chunked = 0;
    c->body_left = 0;
    if (!line) return 1;
    char *query = memmem(head, (size_t)(line - head), "?bytes=", 7);
    if (query) c->answer_bytes = atol(query + 7);
    if (c->answer_bytes < 1 || c->answer_bytes > ANSWER) c->answer_bytes = 1024;
    while (line < blank) {
        line++;
        if (!strncasecmp(line, "content-length:", 15)) c->body_left = atol(line + 15);
        if (!strncasecmp(line, "transfer-encoding:", 18)) c->is_chunked = 1;
        line = memchr(line, '\n', (size_t)(blank + 2 - line));
        if (!line) break;
    }
    return 1;
}

static void readable(struct connection *c) {
    memcpy(inbox, c->head, (size_t)c->held);
    ssize_t moved = recv(c->fd, inbox + c->held, READ, 0);
    if (moved < 0 && errno == EAGAIN) return;
    if (moved <= 0) return end(c);
    char *at = inbox, *stop = inbox + c->held + moved;
    c->held = 0;
    while (at < stop) {
        if (c->waits || c->is_writing) return end(c);  // nobody pipelines here
        if (!c->is_in_body) {
            char *blank = memmem(at, (size_t)(stop - at), "\r\n\r\n", 4);
            if (!blank) {
                if (stop - at > HEAD) return end(c);
                c->held = (int)(stop - at);
                memcpy(c->head, at, (size_t)c->held);
                return;
            }
            take_head(c, at, blank);
            at = blank + 4;
            c->is_in_body = c->is_chunked || c->body_left > 0;
        } else if (c->is_chunked) {
            // The load's chunked bodies hold no such bytes, and end together with a read.
            if (stop - at >= 5 && !memcmp(stop - 5, "0\r\n\r\n", 5)) c->is_in_body = 0;
            at = stop;
        } else {
            long here = stop - at < c->body_left ? stop - at : c->body_left;
            at += here;
            c->body_left -= here;
            c->is_in_body = c->body_left > 0;
        }
        if (!c->is_in_body && !finish(c)) return;
    }
}

static void admit(struct listener *l) {
    for (int fd; (fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *c = calloc(1, sizeof *c);
        if (!c) exit(1);
        c->fd = fd;
        c->listener = (int)(l - listeners);
        watch(fd, EPOLLIN, c, EPOLL_CTL_ADD);
    }
}

static void open_listener(char *argument) {
    struct listener *l = &listeners[listener_count];
    char *value = strchr(argument, '=');
    if (value) *value++ = 0;
    l->name = argument;
    struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    int is_local = value && !strncmp(value, "unix:", 5), bound;
    l->fd = socket(is_local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (is_local) {
        strncpy(local.sun_path, value + 5, sizeof local.sun_path - 1);
        unlink(local.sun_path);
        bound = bind(l->fd, (struct sockaddr *)&local, sizeof local);
    } else {
        l->millis = value ? atoi(value) : 0;
        bound = bind(l->fd, (struct sockaddr *)&tcp, sizeof tcp);
    }
    if (bound < 0 || listen(l->fd, 4096) < 0) {
        perror(argument);
        exit(1);
    }
    socklen_t length = sizeof tcp;
    if (!is_local && getsockname(l->fd, (struct sockaddr *)&tcp, &length) == 0) l->port = ntohs(tcp.sin_port);
    watch(l->fd, EPOLLIN, l, EPOLL_CTL_ADD);
    listener_count++;
}

static void say(int wants_ports) {
    for (int i = 0; i < listener_count; i++) {
        printf("%s\"%s\": %llu", i ? ", " : "{", listeners[i].name,
            (unsigned long long)(wants_ports ? (uint64_t)listeners[i].port : listeners[i].requests));
    }
    printf("}\n");
    fflush(stdout);
}

static int answer_due(void) {
    uint64_t now = now_millis(), soonest = now + 1000;
    for (int i = 0; i < listener_count; i++) {
        struct listener *l = &listeners[i];
        while (l->first && l->first->due <= now) {
            struct connection *c = l->first;
            l->first = c->next;
            if (!l->first) l->last = NULL;
            answer(c);
        }
        if (l->first && l->first->due < soonest) soonest = l->first->due;
    }
    return (int)(soonest - now);
}

int main(int count, char **arguments) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(EPOLL_CLOEXEC);
    filler = malloc(ANSWER);
    if (!filler || count < 2 || count > LISTENERS) return 2;
    memset(filler, '5', ANSWER);
    ready_bytes = compose(ready, 1024);
    memcpy(ready + ready_bytes, filler, 1024);
    ready_bytes += 1024;
    for (int i = 1; i < count; i++) open_listener(arguments[i]);
    watch(0, EPOLLIN, NULL, EPOLL_CTL_ADD);
    say(1);
    struct epoll_event events[EVENTS];
    int timeout = 1000;
    for (;;) {
        int found = epoll_wait(poller, events, EVENTS, timeout);
        for (int i = 0; i < found; i++) {
            struct listener *l = events[i].data.ptr;
            struct connection *c = events[i].data.ptr;
            if (!l) {
                char line[256];
                if (read(0, line, sizeof line) <= 0) return 0;
                say(0);
            } else if (l >= listeners && l < listeners + LISTENERS) {
                admit(l);
            } else if (events[i].events & EPOLLOUT) {
                push(c);
            } else {
                readable(c);
            }
        }
        timeout = answer_due();
    }
}
