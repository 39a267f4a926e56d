"""What sockets do, a row for each documented behaviour: spinet's and the runtime's own.

Each row is played over spinet in virtual time, then over the loopback interface by the sockets
that the runtime brings, where it brings any: so the table itself is tested.  `docs/sockets.md`
lists what differs, and why; those rows say so here.
"""
from spinet.errors import (
    EADDRINUSE, EADDRNOTAVAIL, EAGAIN, EALREADY, EBADF, ECONNREFUSED, ECONNRESET, EDESTADDRREQ,
    EINPROGRESS, EINVAL, EISCONN, EMSGSIZE, ENOPROTOOPT, ENOTCONN, EOPNOTSUPP, EPIPE, ETIMEDOUT,
)
from worlds import ALL, ERR, HUP, IN, MICROPYTHON, NVAL, OUT, error, row, row_of_spinet

# -- opening ------------------------------------------------------------------


@row
def test_connect_waits_until_it_is_open(w):
    _, address = w.listener()
    s = w.socket()
    assert s.connect(address) is None
    assert w.poll(s) == OUT


@row
def test_connect_without_waiting_is_in_progress(w):
    _, address = w.listener()
    s = w.socket()
    s.setblocking(False)
    assert error(s.connect, address) == EINPROGRESS
    w.settle()
    assert w.poll(s) == OUT


@row
def test_so_error_is_0_after_a_good_connect(w):
    w.needs("getsockopt")
    _, address = w.listener()
    s = w.socket()
    s.setblocking(False)
    error(s.connect, address)
    w.settle()
    assert s.getsockopt(w.module.SOL_SOCKET, w.module.SO_ERROR) == 0


@row_of_spinet
def test_connect_again_is_already_then_is_connected(w):
    # Linux reports a success once before EISCONN; a loopback interface is too fast for EALREADY.
    _, address = w.listener()
    s = w.socket()
    s.setblocking(False)
    assert error(s.connect, address) == EINPROGRESS
    assert error(s.connect, address) == EALREADY
    w.settle()
    assert error(s.connect, address) == EISCONN


@row
def test_connect_when_connected_is_an_error(w):
    _, address = w.listener(2)
    s = w.socket()
    s.connect(address)
    assert error(s.connect, address) == EISCONN


@row
def test_connect_refused(w):
    s = w.socket()
    assert error(s.connect, w.address(1)) == ECONNREFUSED


@row
def test_a_refused_connect_that_nobody_waited_for_is_polled_as_an_error(w):
    s = w.socket()
    s.setblocking(False)
    assert error(s.connect, w.address(1)) == EINPROGRESS
    w.settle()
    assert w.poll(s) == IN | OUT | ERR | HUP


@row
def test_so_error_reports_an_error_once(w):
    w.needs("getsockopt")
    s = w.socket()
    s.setblocking(False)
    error(s.connect, w.address(1))
    w.settle()
    assert s.getsockopt(w.module.SOL_SOCKET, w.module.SO_ERROR) == ECONNREFUSED
    assert s.getsockopt(w.module.SOL_SOCKET, w.module.SO_ERROR) == 0


@row
def test_connect_ex_returns_the_error(w):
    w.needs("connect_ex")
    _, address = w.listener()
    assert w.socket().connect_ex(w.address(1)) == ECONNREFUSED
    assert w.socket().connect_ex(address) == 0


@row_of_spinet
def test_connect_times_out(w):
    w.net.treat = lambda frame, to_b: []
    s = w.socket()
    s.settimeout(0.5)
    assert error(s.connect, w.address(80)) == ETIMEDOUT
    assert w.ms() >= 500


@row
def test_accept_gives_a_socket_and_the_peer_s_address(w):
    w.needs("getsockname")
    server, address = w.listener()
    client = w.socket()
    client.connect(address)
    accepted, peer = server.accept()
    assert peer == client.getsockname() and peer[0] == w.client_host
    assert accepted.getpeername() == peer and accepted.getsockname() == address
    accepted.close()


@row
def test_accept_without_waiting(w):
    server, _ = w.listener()
    server.setblocking(False)
    assert error(server.accept) == EAGAIN


@row
def test_accept_times_out(w):
    server, _ = w.listener()
    server.settimeout(0.03)
    began = w.ms()
    assert error(server.accept) == ETIMEDOUT
    assert w.ms() - began >= 29


@row
def test_an_accepted_socket_waits_whatever_the_listener_does(w):
    w.needs("gettimeout")
    server, address = w.listener()
    server.settimeout(0.5)
    w.socket().connect(address)
    accepted = server.accept()[0]
    assert accepted.gettimeout() is None
    accepted.close()


@row
def test_accept_needs_listen(w):
    s = w.socket(server=True)
    s.bind(w.address(0))
    assert error(s.accept) == EINVAL


@row
def test_bind_to_what_is_taken(w):
    _, address = w.listener()
    assert error(w.socket(server=True).bind, address) == EADDRINUSE


@row
def test_bind_to_what_is_not_ours(w):
    assert error(w.socket().bind, w.address(0, w.elsewhere)) == EADDRNOTAVAIL


@row
def test_bind_twice(w):
    w.needs("getsockname")
    s = w.socket(server=True)
    s.bind(w.address(0))
    first = s.getsockname()
    if not w.ours or first[1]:
        assert error(s.bind, w.address(0)) == EINVAL


@row
def test_listen_again_changes_the_backlog(w):
    server, address = w.listener(1)
    server.listen(5)
    w.socket().connect(address)
    server.accept()[0].close()


@row
def test_a_listener_can_be_bound_again_at_once(w):
    server, address = w.listener()
    client = w.socket()
    client.connect(address)
    accepted = server.accept()[0]
    accepted.close()        # it waits in TIME-WAIT
    w.settle()
    client.close()
    server.close()
    w.settle()
    again = w.socket(server=True)
    again.setsockopt(w.module.SOL_SOCKET, w.module.SO_REUSEADDR, 1)
    again.bind(address)
    again.listen(1)


# -- what poll says -----------------------------------------------------------


@row
def test_poll_of_a_new_socket(w):
    assert w.poll(w.socket()) == OUT | HUP


@row
def test_poll_of_a_listener(w):
    server, address = w.listener()
    assert w.poll(server) == 0
    w.socket().connect(address)
    w.settle()
    assert w.poll(server) == IN


@row
def test_poll_of_a_connection(w):
    client, server = w.pair()
    assert w.poll(server) == OUT
    client.send(b"x")
    w.settle()
    assert w.poll(server) == IN | OUT


@row
def test_poll_says_only_what_it_is_asked(w):
    client, server = w.pair()
    client.send(b"x")
    w.settle()
    assert w.poll(server, IN) == IN
    assert w.poll(server, OUT) == OUT


@row
def test_poll_after_the_peer_has_closed(w):
    client, server = w.pair()
    client.close()
    w.settle()
    assert w.poll(server) == IN | OUT


@row
def test_poll_when_both_have_closed(w):
    w.needs("shutdown")
    client, server = w.pair()
    client.shutdown(w.module.SHUT_WR)
    server.shutdown(w.module.SHUT_WR)
    w.settle()
    assert w.poll(client) & ~ERR == IN | OUT | HUP
    assert w.poll(server) & ~ERR == IN | OUT | HUP


@row
def test_poll_after_a_reset(w):
    w.needs("SO_LINGER")
    client, server = w.pair()
    client.setsockopt(w.module.SOL_SOCKET, w.module.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    w.settle()
    assert w.poll(server) == IN | OUT | ERR | HUP


@row
def test_poll_of_a_full_socket(w):
    client, server = w.pair()
    w.fill(client)
    assert w.poll(client) & OUT == 0
    server.setblocking(False)
    while not error(server.recv, 65536):
        w.settle()
    assert w.poll(client) & OUT


@row_of_spinet
def test_poll_of_a_closed_socket(w):
    # A kernel's socket has lost its number by then, and cannot be asked.
    s = w.socket()
    s.close()
    assert w.poll(s) == NVAL


@row
def test_poll_finds_what_is_ready_of_several(w):
    if w.ours and not MICROPYTHON:
        return      # there is no descriptor for the system's poll
    import select

    client, server = w.pair()
    other, _ = w.pair()
    poller = select.poll()
    poller.register(server, IN)
    poller.register(other, IN)
    assert poller.poll(10) == []
    client.send(b"x")
    w.settle()
    found = poller.poll(1000)
    assert len(found) == 1 and found[0][1] == IN
    poller.unregister(server)
    assert poller.poll(10) == []
    poller.modify(other, OUT)
    assert [event[1] for event in poller.poll(10)] == [OUT]


@row
def test_ipoll(w):
    if not MICROPYTHON:
        return
    import select

    client, server = w.pair()
    poller = select.poll()
    poller.register(server, IN)
    client.send(b"x")
    w.settle()
    assert [(event[0] is server, event[1]) for event in poller.ipoll(1000)] == [(True, IN)]
    assert [event[1] for event in poller.ipoll(1000, 1)] == [IN]     # one shot
    assert list(poller.ipoll(10)) == []


# -- reading ------------------------------------------------------------------


@row
def test_recv_takes_what_there_is(w):
    client, server = w.pair()
    client.send(b"abcdef")
    w.settle()
    assert server.recv(4) == b"abcd"
    assert server.recv(100) == b"ef"


@row
def test_recv_of_nothing(w):
    client, server = w.pair()
    client.send(b"abc")
    w.settle()
    assert server.recv(0) == b""
    assert server.recv(3) == b"abc"


@row
def test_recv_without_waiting(w):
    _, server = w.pair()
    server.setblocking(False)
    assert error(server.recv, 10) == EAGAIN


@row
def test_recv_times_out_and_loses_nothing(w):
    client, server = w.pair()
    server.settimeout(0.03)
    began = w.ms()
    assert error(server.recv, 10) == w.late
    assert w.ms() - began >= 29
    client.send(b"later")
    w.settle()
    assert server.recv(10) == b"later"


@row
def test_a_time_out_of_0_is_not_to_wait(w):
    _, server = w.pair()
    server.settimeout(0)
    assert error(server.recv, 10) == EAGAIN


@row
def test_time_outs_are_told(w):
    w.needs("gettimeout")
    s = w.socket()
    assert s.gettimeout() is None and s.getblocking()
    s.settimeout(1.5)
    assert s.gettimeout() == 1.5 and s.getblocking()
    s.setblocking(False)
    assert s.gettimeout() == 0 and not s.getblocking()
    s.setblocking(True)
    assert s.gettimeout() is None


@row
def test_recv_after_the_peer_has_closed(w):
    client, server = w.pair()
    client.send(b"last words")
    client.close()
    w.settle()
    assert server.recv(4) == b"last"
    assert server.recv(100) == b" words"
    assert server.recv(100) == b"" and server.recv(100) == b""


@row
def test_what_is_sent_to_a_peer_that_has_closed_its_half_arrives(w):
    w.needs("shutdown")
    client, server = w.pair()
    client.shutdown(w.module.SHUT_WR)
    w.settle()
    assert server.recv(10) == b""
    server.send(b"still")
    w.settle()
    assert client.recv(10) == b"still"


@row
def test_recv_after_a_reset_is_an_error_once(w):
    w.needs("SO_LINGER")
    client, server = w.pair()
    client.setsockopt(w.module.SOL_SOCKET, w.module.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    w.settle()
    assert error(server.recv, 10) == ECONNRESET
    assert server.recv(10) == b""


@row
def test_recv_when_not_connected(w):
    assert error(w.socket().recv, 10) == ENOTCONN


@row
def test_peek(w):
    w.needs("MSG_PEEK")
    client, server = w.pair()
    client.send(b"abc")
    w.settle()
    assert server.recv(2, w.module.MSG_PEEK) == b"ab"
    assert server.recv(10, w.module.MSG_PEEK) == b"abc"
    assert server.recv(10) == b"abc"


@row
def test_dontwait(w):
    w.needs("MSG_DONTWAIT")
    _, server = w.pair()
    server.settimeout(None)
    assert error(server.recv, 10, w.module.MSG_DONTWAIT) == EAGAIN


@row
def test_recv_into(w):
    w.needs("recv_into")
    client, server = w.pair()
    client.send(b"abcdef")
    w.settle()
    buf = bytearray(4)
    assert server.recv_into(buf) == 4 and buf == b"abcd"
    assert server.recv_into(buf, 1) == 1 and buf == b"ebcd"
    client.close()
    w.settle()
    assert server.recv_into(buf) == 1 and server.recv_into(buf) == 0


@row
def test_shutdown_of_reading(w):
    w.needs("shutdown")
    _, server = w.pair()
    server.shutdown(w.module.SHUT_RD)
    assert server.recv(10) == b""


# -- streams, as MicroPython has them -----------------------------------------


@row
def test_read_waits_for_all_that_it_is_asked_for(w):
    w.needs("read")
    client, server = w.pair()
    client.send(b"abcdefg")
    assert server.read(5) == b"abcde"


@row
def test_read_to_the_end(w):
    w.needs("read")
    client, server = w.pair()
    client.send(b"abc" * 100)
    client.close()
    assert server.read() == b"abc" * 100
    assert server.read() == b"" and server.read(5) == b""


@row
def test_read_stops_at_the_end(w):
    w.needs("read")
    client, server = w.pair()
    client.send(b"abc")
    client.close()
    assert server.read(10) == b"abc"


@row
def test_readline(w):
    w.needs("readline")
    client, server = w.pair()
    client.send(b"one\r\ntwo\n\nthree")
    client.close()
    assert [server.readline() for _ in range(5)] == [b"one\r\n", b"two\n", b"\n", b"three", b""]


@row
def test_readinto(w):
    w.needs("readinto")
    client, server = w.pair()
    client.send(b"abcd")
    w.settle()
    buf = bytearray(4)
    assert server.readinto(buf) == 4 and buf == b"abcd"
    client.send(b"xy")
    w.settle()
    assert server.readinto(buf, 2) == 2 and buf[:2] == b"xy"
    client.close()
    w.settle()
    assert server.readinto(buf) == 0


@row
def test_streams_that_may_not_wait_give_none(w):
    w.needs("readinto")
    _, server = w.pair()
    server.setblocking(False)
    assert server.read(10) is None
    assert server.readinto(bytearray(4)) is None
    assert server.readline() is None


@row
def test_write(w):
    w.needs("write")
    client, server = w.pair()
    assert client.write(b"abcdef") == 6
    assert client.write(b"ghijkl", 2) == 2
    assert client.write(b"mnopqr", 3, 2) == 2
    got = b""
    while len(got) < 10:
        got += server.recv(100)
    assert got == b"abcdefghpq"


@row
def test_write_without_waiting_takes_a_part_then_gives_none(w):
    w.needs("write")
    client, _ = w.pair()
    w.fill(client)
    assert client.write(b"x" * 100) is None


@row
def test_makefile(w):
    client, server = w.pair()
    client.send(b"line\nrest")
    client.close()
    file = server.makefile("rb")
    assert file.readline() == b"line\n" and file.read() == b"rest" and file.read(1) == b""


# -- writing ------------------------------------------------------------------


@row
def test_send_says_how_much(w):
    client, server = w.pair()
    assert client.send(b"abc") == 3 and client.send(b"") == 0
    w.settle()
    assert server.recv(10) == b"abc"


@row
def test_send_without_waiting_takes_a_part_then_is_an_error(w):
    client, _ = w.pair()
    part = b"x" * w.much
    client.setblocking(False)
    assert 0 < client.send(part) < len(part)
    w.fill(client)
    assert error(client.send, b"x") == EAGAIN


@row
def test_send_times_out(w):
    client, _ = w.pair()
    w.fill(client)
    client.settimeout(0.03)
    assert error(client.send, b"x") == w.late


@row
def test_sendall_times_out(w):
    w.needs("sendall")
    client, _ = w.pair()
    w.fill(client)
    client.settimeout(0.03)
    assert error(client.sendall, b"x" * w.much) == w.late


@row
def test_sendall_sends_all(w):
    w.needs("sendall")
    client, server = w.pair()
    assert client.sendall(b"abc" * 1000) is None
    got = b""
    while len(got) < 3000:
        got += server.recv(4096)
    assert got == b"abc" * 1000


@row_of_spinet
def test_a_send_that_may_wait_takes_all(w):
    # The kernels' too, but one process cannot wait and read at once.
    client, server = w.pair()
    client.settimeout(5)
    server.setblocking(False)
    got = [0]
    before = w.net.wait

    def wait(ms):
        before(ms)
        while not error(server.recv, 512, w.module.MSG_PEEK):
            got[0] += len(server.recv(512))

    w.net.a.wait = wait
    assert client.send(b"x" * 30000) == 30000
    w.settle()
    wait(0)
    assert got[0] == 30000


@row
def test_send_when_not_connected(w):
    # POSIX says ENOTCONN, Linux says EPIPE.
    assert error(w.socket().send, b"x") == (ENOTCONN if w.ours else EPIPE)


@row
def test_send_after_shutdown(w):
    w.needs("shutdown")
    client, server = w.pair()
    client.shutdown(w.module.SHUT_WR)
    assert error(client.send, b"x") == EPIPE
    w.settle()
    assert server.recv(10) == b""


@row
def test_send_to_a_peer_that_is_gone(w):
    client, server = w.pair()
    server.close()
    w.settle()
    client.send(b"x")           # answered by a reset
    w.settle()
    assert error(client.send, b"x") in (EPIPE, ECONNRESET)


@row
def test_text_is_sent_as_utf_8_by_micropython(w):
    if not MICROPYTHON:
        return
    client, server = w.pair()
    client.send("abc")
    client.write("d")
    assert server.read(4) == b"abcd"


# -- the rest -----------------------------------------------------------------


@row
def test_a_closed_socket(w):
    client, _ = w.pair()
    client.close()
    client.close()
    assert error(client.recv, 1) == EBADF
    assert error(client.send, b"x") == EBADF


@row
def test_a_closed_socket_says_so_to_who_waits_for_its_peer(w):
    client, server = w.pair()
    client.close()
    assert server.recv(10) == b""


@row
def test_with_closes(w):
    w.needs("__exit__")
    with w.socket() as s:
        pass
    assert error(s.listen, 1) == EBADF


@row
def test_getpeername_needs_a_peer(w):
    w.needs("getpeername")
    assert error(w.socket().getpeername) == ENOTCONN


@row
def test_shutdown_needs_a_peer(w):
    w.needs("shutdown")
    assert error(w.socket().shutdown, w.module.SHUT_RDWR) == ENOTCONN


@row
def test_options(w):
    w.needs("getsockopt")
    m = w.module
    s = w.socket()
    assert s.getsockopt(m.SOL_SOCKET, m.SO_TYPE) == m.SOCK_STREAM
    s.setsockopt(m.SOL_SOCKET, m.SO_KEEPALIVE, 1)
    assert s.getsockopt(m.SOL_SOCKET, m.SO_KEEPALIVE) == 1
    s.setsockopt(m.IPPROTO_TCP, m.TCP_NODELAY, 1)
    assert s.getsockopt(m.IPPROTO_TCP, m.TCP_NODELAY) == 1
    assert error(s.getsockopt, m.SOL_SOCKET, 9999) == ENOPROTOOPT
    assert error(s.setsockopt, m.SOL_SOCKET, 9999, 1) == ENOPROTOOPT


@row
def test_getaddrinfo(w):
    found = w.module.getaddrinfo(w.host, 80)
    assert found[0][0] == w.module.AF_INET and found[0][1] == w.module.SOCK_STREAM
    if w.ours or not MICROPYTHON:
        assert found[0][4] == (w.host, 80)


# -- datagrams ----------------------------------------------------------------


def datagrams(w):
    """A client's datagram socket, and a server's that is bound, with its address."""
    w.number += 1
    address = w.address(30000 + w.number)
    server = w.socket(w.datagram, True)
    server.bind(address)
    client = w.socket(w.datagram)
    client.bind(w.address(31000 + w.number, w.client_host))
    for sock in (client, server):
        sock.settimeout(1)
    return client, server, address


@row
def test_a_datagram_and_its_answer(w):
    client, server, address = datagrams(w)
    assert client.sendto(b"question", address) == 8
    data, peer = server.recvfrom(100)
    assert data == b"question"
    server.sendto(b"answer", peer)
    assert client.recvfrom(100) == (b"answer", address)


@row
def test_what_does_not_fit_of_a_datagram_is_lost(w):
    client, server, address = datagrams(w)
    client.sendto(b"abcdef", address)
    client.sendto(b"next", address)
    w.settle()
    assert server.recv(3) == b"abc" and server.recv(100) == b"next"


@row
def test_an_empty_datagram(w):
    client, server, address = datagrams(w)
    assert client.sendto(b"", address) == 0
    w.settle()
    assert w.poll(server) == IN | OUT
    assert server.recv(10) == b""
    assert w.poll(server) == OUT


@row
def test_datagrams_without_waiting(w):
    _, server, _ = datagrams(w)
    server.setblocking(False)
    assert error(server.recv, 10) == EAGAIN and error(server.recvfrom, 10) == EAGAIN


@row
def test_datagrams_time_out(w):
    _, server, _ = datagrams(w)
    server.settimeout(0.03)
    assert error(server.recvfrom, 10) == w.late


@row
def test_datagrams_are_peeked(w):
    w.needs("MSG_PEEK")
    client, server, address = datagrams(w)
    client.sendto(b"abc", address)
    w.settle()
    assert server.recv(10, w.module.MSG_PEEK) == b"abc" == server.recv(10)


@row
def test_a_connected_datagram_socket_hears_its_peer_only(w):
    client, server, address = datagrams(w)
    client.connect(address)
    stranger = w.socket(w.datagram, True)
    client.send(b"x")
    peer = server.recvfrom(10)[1]
    stranger.sendto(b"from a stranger", peer)
    w.settle()
    client.setblocking(False)
    assert error(client.recv, 100) == EAGAIN
    server.sendto(b"from the peer", peer)
    w.settle()
    assert client.recv(100) == b"from the peer"


@row
def test_send_needs_an_address(w):
    assert error(w.socket(w.datagram).send, b"x") == EDESTADDRREQ


@row
def test_a_connected_datagram_socket_is_told_that_nobody_listens(w):
    client, server, address = datagrams(w)
    client.connect(address)
    server.close()
    client.send(b"x")
    w.settle()
    assert w.poll(client) & ERR
    assert error(client.recv, 10) == ECONNREFUSED
    client.setblocking(False)
    assert error(client.recv, 10) == EAGAIN


@row
def test_a_datagram_can_be_too_long(w):
    client, _, address = datagrams(w)
    assert error(client.sendto, bytes(65508), address) == EMSGSIZE


@row
def test_datagram_sockets_have_no_connections_to_accept(w):
    s = w.socket(w.datagram)
    assert error(s.listen, 1) == EOPNOTSUPP
    assert error(s.accept) in (EOPNOTSUPP, EINVAL)


@row
def test_broadcast_must_be_allowed(w):
    w.needs("SO_BROADCAST")
    client, server, address = datagrams(w)
    everybody = w.address(9, "255.255.255.255")
    assert error(client.sendto, b"x", everybody) == 13       # EACCES
    client.setsockopt(w.module.SOL_SOCKET, w.module.SO_BROADCAST, 1)
    if w.ours:
        assert client.sendto(b"x", everybody) == 1


@row
def test_a_port_for_datagrams_is_taken_once(w):
    _, _, address = datagrams(w)
    assert error(w.socket(w.datagram, True).bind, address) == EADDRINUSE


@row
def test_poll_of_datagrams(w):
    client, server, address = datagrams(w)
    assert w.poll(server) == OUT and w.poll(server, IN) == 0
    client.sendto(b"x", address)
    w.settle()
    assert w.poll(server, ALL) == IN | OUT


# -- sockets that nobody has any more -----------------------------------------


@row
def test_a_dropped_socket_closes_its_connection(w):
    # Not so on MicroPython's unix port, its own sockets included; test_dropped.py plays spinet
    # where MicroPython has `weakref`.
    if MICROPYTHON:
        return
    client, server = w.pair()
    w.forget([client])
    del client
    w.collect()
    assert server.recv(10) == b""


@row
def test_a_dropped_listener_frees_its_port(w):
    if MICROPYTHON:
        return
    listener, address = w.listener()
    w.forget([listener])
    del listener
    w.collect()
    assert error(w.socket().connect, address) == ECONNREFUSED
