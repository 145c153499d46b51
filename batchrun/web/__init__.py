"""The local page: `batchrun web`, for people who don't use a terminal.

::

    server.py     the socket, the browser, Ctrl-C; finds a page that runs already
    app.py        the addresses and what each answers
    security.py   who may ask: host, session, origin, the secret of a form, headers
    uploads.py    a list on its way from the browser to the disk
    lists.py      the uploaded lists and the choices made for them
    sandboxed.py  the imitated service, for practice
    work.py       what runs in the background: checks and batches
    screens.py    what a screen shows, as values; pure but for the journal
    results.py    results as people read them, titled like the workbook's columns
    words.py      messages in the page's own words
    templates/    the screens; static/ their style and the small script for live updates

It uses only the public functions of batchrun. One user, one machine: it listens on 127.0.0.1 alone.
"""
