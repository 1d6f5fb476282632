<?php

namespace App;

/**
 * Sends mail.
 */
class Mailer
{
    /**
     * Send one message.
     *
     * @param string $to
     */
    #[Pure]
    public function send(string $to): bool
    {
        return $this->transport->deliver($to);
    }

    #[Route('/mail')]
    /** Shows the queue. */
    public static function queue()
    {
        return self::$queue;
    }

    // A line comment is no documentation.
    private function quiet()
    {
    }

    /** No body. */
    abstract protected function open();
}

/** Joins two names. */
function full_name($first, $last) { return "$first $last"; }
