# What Varnish has to know so that edge-isr can purge it, and can keep its pages stale for a moment.
#
# Written for Varnish 7.1 with varnish-modules (vmod_xkey), as Debian 12 has them. Nothing here has to be
# changed. Put it beside a file of your own and load that one:
#
#   vcl 4.1;
#   backend default { .host = "127.0.0.1"; .port = "8080"; }      # the origin
#   acl edge_isr_purgers { "127.0.0.1"; "::1"; "10.0.0.0"/8; }     # where edge-isr's workers run
#   include "/etc/varnish/edge-isr.vcl";                           # this file
#
# Subroutines of yours that stand before the include run before those here; the built-in ones run after
# them. Send visitors through `std.querysort` as below, or pages with several parameters in another order
# than edge-isr's cannot be purged by their URL.
#
# Where whoever may reach Varnish cannot be told by the address, add a secret to vcl_recv before the
# include, and to the connector's options:
#
#   sub vcl_recv {
#     if (req.method ~ "^(PURGE|PURGEKEYS|BAN)$" && req.http.x-purge-secret != "a long random text") {
#       return (synth(403, "The purge secret does not match"));
#     }
#   }

import purge;
import std;
import xkey;

sub vcl_recv {
    # What is worked out here, whatever a request says.
    unset req.http.x-purged;
    unset req.http.x-ban;
    unset req.http.x-purge-secret;

    if (req.method == "PURGE" || req.method == "PURGEKEYS" || req.method == "BAN") {
        # The peer's address, which nobody can make up, and not X-Forwarded-For, which anybody can.
        if (client.ip !~ edge_isr_purgers) {
            return (synth(405, "Purging is not allowed from this address"));
        }
    } elsif (req.method ~ "(?i)PURGE|BAN|REFRESH") {
        # What other caches, the origin's among them, are purged by. Varnish would hand it on.
        return (synth(405, "Purging is not allowed by this method"));
    } else {
        # Only purges are told what to do by these.
        unset req.http.xkey-purge;
        unset req.http.xkey-softpurge;
        unset req.http.x-purge-mode;
        unset req.http.x-ban-host;
        unset req.http.x-ban-url;
        unset req.http.x-ban-everything;
    }

    # One spelling for each page, the one that edge-isr has. Browsers leave some letters as they are that it
    # encodes; the parameters that advertising adds are no part of a page; the order of the others does not
    # count. edge-isr drops the same parameters by default.
    if (req.url ~ "[\[\]{}|^\\`]") {
        set req.url = regsuball(req.url, "\[", "%5B");
        set req.url = regsuball(req.url, "\]", "%5D");
        set req.url = regsuball(req.url, "\{", "%7B");
        set req.url = regsuball(req.url, "\}", "%7D");
        set req.url = regsuball(req.url, "\|", "%7C");
        set req.url = regsuball(req.url, "\^", "%5E");
        set req.url = regsuball(req.url, "\\", "%5C");
        set req.url = regsuball(req.url, "`", "%60");
    }
    # Only in the query: a path may hold the same letters.
    set req.http.x-query = regsub(req.url, "^[^?]*\??", "");
    set req.http.x-query = regsuball("&" + req.http.x-query, "&(utm_[^=&]*|_ga|_gl|_hsenc|_hsmi|dclid|epik|fbclid|gbraid|gclid|gclsrc|igsh|igshid|li_fat_id|mc_cid|mc_eid|msclkid|ttclid|twclid|wbraid|yclid)(=[^&]*)?(?=&|$)", "");
    set req.http.x-query = regsuball(regsuball(req.http.x-query, "&+", "&"), "^&|&$", "");
    set req.url = regsub(req.url, "\?.*$", "");
    if (req.http.x-query != "") {
        set req.url = req.url + "?" + req.http.x-query;
        # Where a name comes twice, as in ?id=2&id=1, its values have an order, which sorting would not keep.
        if ("&" + req.http.x-query !~ "&([^=&]*)(=[^&]*)?&(.*&)?\1(=|&|$)") {
            set req.url = std.querysort(req.url);
        }
    }
    unset req.http.x-query;

    if (req.method == "PURGE") {
        # A page that is being fetched must not hold up its own purge: what is on its way is purged again
        # once it has arrived.
        set req.hash_ignore_busy = true;
        return (hash);
    }

    if (req.method == "PURGEKEYS") {
        if (req.http.xkey-purge) {
            set req.http.x-purged = xkey.purge(req.http.xkey-purge);
        } elsif (req.http.xkey-softpurge) {
            set req.http.x-purged = xkey.softpurge(req.http.xkey-softpurge);
        } else {
            return (synth(400, "PURGEKEYS needs xkey-purge or xkey-softpurge"));
        }
        return (synth(200, "Purged"));
    }

    if (req.method == "BAN") {
        # Only `obj.` is looked at, so that the ban lurker can carry bans out in the background and drop
        # them afterwards. Bans are not counted: what they are about goes when it is next looked at.
        if (req.http.x-ban-everything) {
            set req.http.x-ban = "obj.status != 0";
        } elsif (req.http.x-ban-host && req.http.x-ban-url) {
            set req.http.x-ban = "obj.http.x-host == " + req.http.x-ban-host
                + " && obj.http.x-url ~ " + req.http.x-ban-url;
        } elsif (req.http.x-ban-host) {
            set req.http.x-ban = "obj.http.x-host == " + req.http.x-ban-host;
        } else {
            return (synth(400, "BAN needs x-ban-host or x-ban-everything"));
        }
        if (!std.ban(req.http.x-ban)) {
            return (synth(400, std.ban_error()));
        }
        set req.http.x-purged = "banned";
        return (synth(200, "Banned"));
    }
}

# PURGE: in vcl_hit and vcl_miss both, because a variant that this request does not match is a miss.
sub edge_isr_purge {
    if (req.http.x-purge-mode == "soft") {
        set req.http.x-purged = purge.soft(0s);
    } else {
        set req.http.x-purged = purge.hard();
    }
    return (synth(200, "Purged"));
}

sub vcl_hit {
    if (req.method == "PURGE") {
        call edge_isr_purge;
    }
}

sub vcl_miss {
    if (req.method == "PURGE") {
        call edge_isr_purge;
    }
}

sub vcl_synth {
    # By this the connector knows that the purge was answered here and not by the origin.
    if (req.http.x-purged) {
        set resp.http.x-purged = req.http.x-purged;
    }
}

sub vcl_backend_response {
    # For bans. `stale-while-revalidate` needs nothing: Varnish makes it the object's grace.
    set beresp.http.x-url = bereq.url;
    set beresp.http.x-host = bereq.http.host;
}

sub vcl_deliver {
    # Tags, and what bans look at, are nobody's business.
    unset resp.http.xkey;
    unset resp.http.x-url;
    unset resp.http.x-host;
    # Who warms a page wants to know how new it is; visitors do not.
    if (!req.http.x-edge-isr-warmup) {
        unset resp.http.x-edge-isr-generation;
    }
}
