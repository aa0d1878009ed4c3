// The JDK's own HTTP client, as LangChain4j and Spring AI use it: its first request to a host offers
// HTTP/2 (h2c). Prints the status of each answer. Run by `java Ask.java http://127.0.0.1:8080`.

import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

public class Ask {
    public static void main(String[] arguments) throws Exception {
        URI embed = URI.create(arguments[0] + "/embed");
        String small = "{\"inputs\": \"a cat\"}";
        String large = "{\"inputs\": \"" + "a cat ".repeat(100_000) + "\"}";
        for (String body : new String[] {small, large}) {
            HttpClient client = HttpClient.newHttpClient(); // its first request offers HTTP/2
            byte[] bytes = body.getBytes();
            BodyPublisher chunked = BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(bytes));
            ask(client, embed, BodyPublishers.ofString(body), false);
            ask(client, embed, BodyPublishers.ofString(body), false);
            ask(HttpClient.newHttpClient(), embed, chunked, true);
        }
    }

    static void ask(HttpClient client, URI uri, BodyPublisher body, boolean wait) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(uri).expectContinue(wait).POST(body).build();
        System.out.println(client.send(request, BodyHandlers.ofString()).statusCode());
    }
}
