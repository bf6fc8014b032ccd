"""How to reach one API server and sign in to it: connections, credential plugins, login commands."""
