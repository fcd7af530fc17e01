<?php
// Counts its visitors in the store; /health only asks whether the store answers.
$store = stream_socket_client('unix:///tmp/redis.sock', $number, $words, 2);
if ($store === false) {
    http_response_code(503);
    exit("no store: $words\n");
}
function ask($store, string $command): string
{
    fwrite($store, "$command\r\n");
    return trim((string) fgets($store), "+:\r\n");
}
if ($_SERVER['REQUEST_URI'] === '/health') {
    exit(ask($store, 'PING') . "\n");
}
echo 'visitor ' . ask($store, 'INCR visitors') . "\n";
